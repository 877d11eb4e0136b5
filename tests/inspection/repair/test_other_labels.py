"""Labels that are probably wrong, by a classifier that did not learn from them."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.inspection.repair.other_labels import OtherLabels, other_labels

LABELS, ROWS, DIMENSIONS = 6, 20, 16


@pytest.fixture
def clusters() -> tuple[np.ndarray, list[str]]:
    """Six clusters of twenty vectors, each with its label."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((LABELS, DIMENSIONS))
    vectors = np.repeat(centres, ROWS, axis=0) + 0.3 * rng.standard_normal((LABELS * ROWS, DIMENSIONS))
    return vectors, [f"label {row // ROWS}" for row in range(LABELS * ROWS)]


def found(vectors: np.ndarray, labels: list[str], groups: np.ndarray | None = None) -> OtherLabels:
    each = np.arange(len(labels)) if groups is None else groups
    return other_labels(vectors, labels, each, times=5.0, seed=0)


def test_planted_labels_are_found_and_no_others(clusters) -> None:
    vectors, right = clusters
    labels, planted = list(right), [row for row in range(len(right)) if row % ROWS < LABELS - 1]
    for row in planted:  # a quarter of each label, one to each other label
        labels[row] = f"label {(int(right[row][-1]) + row % ROWS + 1) % LABELS}"
    result = found(vectors, labels)
    assert result.unchecked == 0
    assert {row: label for row, (label, _) in result.suspects.items()} == {row: right[row] for row in planted}
    assert min(times for _, times in result.suspects.values()) >= 5


def test_the_direction_that_all_vectors_share_does_not_matter(clusters) -> None:
    vectors, labels = clusters
    labels[3] = "label 4"
    for changed in (vectors, vectors + 50, vectors / 1_000):
        assert list(found(changed, labels).suspects) == [3]


def test_labels_of_few_texts_are_not_checked(clusters) -> None:
    """A label that only four texts have is learned, but says nothing about these."""
    vectors, labels = clusters
    for row in range(4):
        labels[row] = "rare"
    result = found(vectors, labels)
    assert result == OtherLabels({}, 4)
    # The same text written five times is one text.
    groups = np.arange(len(labels))
    labels[4], groups[:5] = "rare", 0
    assert found(vectors, labels, groups).unchecked == 5


def test_a_label_whose_texts_look_like_those_of_others_is_not_checked(clusters) -> None:
    vectors, labels = clusters
    for row in range(0, len(labels), ROWS):
        labels[row] = "miscellaneous"
    result = found(vectors, labels)
    assert result.unchecked == 6
    assert result.suspects == {}


@pytest.mark.parametrize("labels", [["one"] * 10, [f"label {row}" for row in range(10)]])
def test_nothing_to_compare(labels: list[str]) -> None:
    vectors = np.random.default_rng(0).standard_normal((10, 4))
    assert found(vectors, labels) == OtherLabels({}, 10)


def test_equal_texts_do_not_vouch_for_each_other(clusters) -> None:
    """Three copies of a text with the same wrong label: whatever the folds are, none of them is learned for another."""
    vectors, labels = clusters
    groups = np.arange(len(labels))
    groups[:3], vectors[:3] = 0, vectors[0]
    labels[:3] = ["label 5"] * 3
    assert list(found(vectors, labels, groups).suspects) == [0, 1, 2]


def test_equal_vectors_have_no_suspects() -> None:
    """An encoder that says nothing: labels remain as they are."""
    labels = ["a", "b"] * 10
    assert found(np.ones((20, 4)), labels).suspects == {}

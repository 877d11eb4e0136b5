"""Figures on vectors by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from nearfar import geometry
from nearfar.inspection.measuring import measure, union
from nearfar.inspection.sampling import draw_sample

from .helpers import pairs, random_unit, unit


def test_measures_of_pairs_by_hand() -> None:
    sample = draw_sample(pairs(4), 100)
    a = unit(np.eye(4))
    b = unit([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, -1]])
    found = measure(sample, (a, b))
    # Three pairs are identical, and the two vectors of the last are opposite.
    assert found.measures["alignment"] == pytest.approx(4 / 4)
    assert found.per_item["alignment"].tolist() == pytest.approx([0, 0, 0, 4])
    assert found.measures["positive_cosine"] == pytest.approx(0.5)
    assert found.measures["negative_cosine"] == pytest.approx(0)
    assert found.measures["separation"] == pytest.approx(0.75)
    assert found.measures["false_negative_share"] == pytest.approx(0.25)
    assert found.neighbours.above.tolist() == [0, 0, 0, 3]
    assert found.measures["tolerance"] is None
    assert found.measures["spearman"] is None
    assert len(found.similarities["positive pairs"]) == 4


def test_all_equal_and_one_dimensional_spaces() -> None:
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(12)]})
    sample = draw_sample(rows, 100)
    same = measure(sample, (unit(np.ones((12, 6))),))
    assert same.measures["uniformity"] == pytest.approx(0, abs=1e-6)
    assert same.measures["effective_rank"] == pytest.approx(1, abs=1e-3)
    assert same.measures["iso_score"] is None
    assert same.spectrum.size == 0
    assert len(same.notes) == 1
    assert not measure(sample, (random_unit(12, 6),)).notes
    line = np.zeros((12, 6), dtype=np.float32)
    line[:, 0] = [1, -1] * 6
    found = measure(sample, (line,))
    assert found.measures["iso_score"] == pytest.approx(0, abs=1e-6)
    assert found.measures["effective_rank"] == pytest.approx(1)
    # Of 66 pairs 36 lie opposite each other, at a squared distance of 4, and 30 coincide.
    assert found.measures["uniformity"] == pytest.approx(-np.log((30 + 36 * np.exp(-8)) / 66), abs=1e-5)


def test_evenly_spread_vectors() -> None:
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(2000)]})
    found = measure(draw_sample(rows, 5000), (random_unit(2000, 16),)).measures
    # E[exp(-2 |x - y|^2)] on the sphere of 16 dimensions is close to exp(-4 + 16 / (2 * 16)).
    assert found["uniformity"] == pytest.approx(4 - 0.5, abs=0.03)
    assert found["mean_cosine"] == pytest.approx(0, abs=0.01)
    assert found["effective_rank"] == pytest.approx(16, abs=0.05)
    assert found["iso_score"] == pytest.approx(1, abs=0.02)
    assert found["hubness"] == pytest.approx(0.5, abs=0.5)


def test_labels_give_tolerance_and_negatives_of_other_labels() -> None:
    labels = ["x"] * 5 + ["y"] * 5 + ["alone"]
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(11)], "label": labels})
    sample = draw_sample(rows, 100)
    assert sample.labels is not None
    anchors, partners = sample.positives.T
    assert anchors.tolist() == list(range(10)) == sorted(partners.tolist())
    assert (sample.labels[anchors] == sample.labels[partners]).all()
    assert (anchors != partners).all()
    numbers, negatives = sample.negatives.T
    assert (sample.labels[negatives] != sample.labels[anchors[numbers]]).all()
    directions = {"x": [1, 0, 0], "y": [0, 1, 0], "alone": [0, 0, 1]}
    found = measure(sample, (unit([directions[label] for label in labels]),))
    assert found.measures["tolerance"] == pytest.approx(1)
    assert found.measures["separation"] == 1
    assert found.measures["false_negative_share"] == 0
    assert found.measures["alignment"] is None
    assert set(found.similarities) == {"same label", "different labels"}


def test_scored_pairs_are_positive_where_scores_are_high() -> None:
    scores = [5.0, 4.5, 4.0, 2.5, 1.0, 0.0]
    n = len(scores)
    rows = Dataset.from_dict(
        {"sentence1": [f"a{i}" for i in range(n)], "sentence2": [f"b{i}" for i in range(n)], "score": scores}
    )
    sample = draw_sample(rows, 100)
    assert sample.positives.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert sample.named_pairs["low scores"].tolist() == [[4, 4], [5, 5]]
    # Whatever the score, an item is not a negative of what it was scored with.
    assert all(sample.anchors[number] != item for number, item in sample.negatives.tolist())
    a = unit(np.eye(n, 12))
    angles = np.linspace(0, np.pi / 2, n)
    b = unit(np.eye(n, 12) * np.cos(angles)[:, None] + np.eye(n, 12, k=6) * np.sin(angles)[:, None])
    found = measure(sample, (a, b))
    assert found.measures["spearman"] == pytest.approx(1)
    assert found.measures["positive_cosine"] == pytest.approx(np.cos(angles[:3]).mean(), abs=1e-6)


def test_without_high_scores_there_are_no_positives() -> None:
    texts = [f"t{i}" for i in range(8)]
    rows = Dataset.from_dict({"sentence1": texts[:4], "sentence2": texts[4:], "score": [0.1, 0.2, 0.3, 0.4]})
    sample = draw_sample(rows, 100)
    assert len(sample.positives) == 0
    found = measure(sample, (random_unit(4, 8), random_unit(4, 8, 1)))
    assert found.measures["alignment"] is None
    assert found.measures["false_negative_share"] is None
    assert found.measures["spearman"] is not None
    assert set(found.similarities) == {"low scores", "random pairs"}


def test_hard_negatives_are_items_and_have_their_own_similarities() -> None:
    rows = Dataset.from_dict({"anchor": ["a0", "a1"], "positive": ["p0", "p1"], "negative": ["n0", "p0"]})
    sample = draw_sample(rows, 100)
    assert list(sample.sides[1].items) == ["p0", "p1", "n0"]
    assert sample.named_pairs["hard negatives"].tolist() == [[0, 2], [1, 0]]
    vectors = (unit([[1, 0], [0, 1]]), unit([[1, 1], [0, 1], [1, 0]]))
    found = measure(sample, vectors).neighbours
    assert found.above.tolist() == [1, 0]
    assert int(found.negative[0]) == 2


def test_separation_counts_ties_as_half_and_no_evidence_as_chance() -> None:
    rows = Dataset.from_dict({"anchor": ["a", "b"], "positive": ["x", "y"], "negative": ["z", "z"]})
    sample = replace(draw_sample(rows, 100), negatives=np.array([[0, 1], [0, 2], [0, 1]]))
    vectors = (unit([[1, 0], [0, 1]]), unit([[1, 1], [1, 1], [1, 0]]))
    found = measure(sample, vectors)
    # a: two ties with its positive and one item above it; b: no negatives.
    assert found.per_item["separation"].tolist() == pytest.approx([1 / 3, 0.5])
    assert "negative_cosine" not in found.per_item
    assert found.measures["negative_cosine"] == pytest.approx((2 * np.sqrt(0.5) + 1) / 3)


def test_a_text_on_both_sides_is_one_vector_of_the_space() -> None:
    rows = Dataset.from_dict({"anchor": ["a", "b", "c"], "positive": ["b", "x", "y"]})
    sample = draw_sample(rows, 100)
    vectors = (random_unit(3, 4), random_unit(3, 4, 1))
    expected = np.concatenate([vectors[0], vectors[1][1:]])
    assert union(sample, vectors).tolist() == expected.tolist()
    assert measure(sample, vectors).measures["mean_cosine"] == pytest.approx(geometry.mean_cosine(expected), abs=1e-6)


def test_items_without_a_positive_are_no_part_of_the_share() -> None:
    rows = Dataset.from_dict({"text": ["a", "b", "c"], "label": ["x", "x", "alone"]})
    found = measure(draw_sample(rows, 100), (unit([[1, 0], [-1, 0.1], [1, 0.1]]),))
    # c is closer to a and to b than these are to each other.
    assert found.per_item["false_negative_share"].tolist() == [1, 1]
    assert found.measures["false_negative_share"] == 1


def test_labels_of_one_item_each_have_no_tolerance() -> None:
    rows = Dataset.from_dict({"text": ["a", "b", "c"], "label": ["x", "y", "z"]})
    assert measure(draw_sample(rows, 100), (random_unit(3, 4),)).measures["tolerance"] is None


def test_equal_cosines_have_no_correlation_with_scores() -> None:
    texts = [f"t{i}" for i in range(8)]
    rows = Dataset.from_dict({"sentence1": texts[:4], "sentence2": texts[4:], "score": [0.1, 0.2, 0.3, 0.4]})
    same = np.tile(unit([[1, 0]]), (4, 1))
    assert measure(draw_sample(rows, 100), (same, same)).measures["spearman"] is None


def test_every_anchor_counts_alike_whatever_its_negatives() -> None:
    rows = Dataset.from_dict({"anchor": ["a", "b"], "positive": ["x", "y"], "negative": ["z", "z"]})
    sample = replace(draw_sample(rows, 100), negatives=np.array([[0, 1], [0, 1], [0, 1], [1, 0]]))
    vectors = (unit([[1, 0], [0, 1]]), unit([[0, 1], [1, 0], [1, 1]]))
    # Three negatives of a at 1, and one of b at 1; then those of a at 1 and that of b at sqrt(1/2).
    assert measure(sample, vectors).measures["negative_cosine"] == pytest.approx(1)
    other = replace(sample, negatives=np.array([[0, 1], [0, 1], [0, 1], [1, 2]]))
    assert measure(other, vectors).measures["negative_cosine"] == pytest.approx((1 + np.sqrt(0.5)) / 2)

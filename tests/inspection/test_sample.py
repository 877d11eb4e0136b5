"""A sample: its anchors, and the items that only one side has."""

from __future__ import annotations

import numpy as np

from nearfar.inspection.sample import Sample, Side

NONE = np.empty((0, 2), dtype=np.int64)


def sample(*sides: Side, positives: np.ndarray = NONE, labels: np.ndarray | None = None) -> Sample:
    return Sample("pairs", 9, 3, sides, positives, NONE, NONE, labels)


def side(name: str, *items: object, **more) -> Side:
    return Side(name, items, list(range(len(items))), **more)


def test_anchors_are_of_the_pairs_or_all_items() -> None:
    first, second = side("anchor", "a", "b", "c"), side("positive", "x", "y")
    assert sample(first, second, positives=np.array([[2, 0], [0, 1], [2, 1]])).anchors.tolist() == [2, 0, 2]
    assert sample(first, second).anchors.tolist() == [0, 1, 2]
    assert len(sample(first, second)) == 5


def test_a_text_on_both_sides_is_of_the_first() -> None:
    first, second = side("anchor", "a", "b"), side("positive", "b", "x", "a")
    assert sample(first, second).only_on_second.tolist() == [1]
    assert sample(first).only_on_second.tolist() == []
    # A text that reads like a file's name is no file.
    files = side("image", "a", "b", medium="image")
    assert sample(first, files).only_on_second.tolist() == [0, 1]


def test_labels_match_items_of_a_single_side() -> None:
    labels = np.array([0, 1])
    assert sample(side("text", "a", "b"), labels=labels).by_label
    assert not sample(side("image", "a", "b"), side("text", "c"), labels=labels).by_label
    assert not sample(side("text", "a", "b")).by_label


def test_files_are_shown_by_their_names() -> None:
    found = side("image", "a.png", {"path": "b.png", "bytes": b""}, {"path": None, "bytes": b""}, medium="image")
    assert [found.text(item) for item in range(2)] == ["a.png", "b.png"]
    assert "2" in found.text(2)

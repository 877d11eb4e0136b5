"""Pairs as arrays."""

from __future__ import annotations

import numpy as np

from nearfar.inspection.pairs import (
    NEGATIVES,
    excluded_pairs,
    pair_keys,
    positive_pairs,
    positive_pairs_of_labels,
    sampled_negatives,
    sampled_negatives_of_labels,
)
from nearfar.inspection.sample import Side
from nearfar.inspection.unique import unique_values


def test_unique_values_number_cells_column_by_column() -> None:
    file = {"path": None, "bytes": b""}
    found = unique_values(["a", "b", "a"], ["b", "c", "d"])
    assert found.values == ["a", "b", "c", "d"]
    assert found.ids.tolist() == [[0, 1], [1, 2], [0, 3]]
    assert found.rows.tolist() == [0, 1, 1, 2]
    # Files of the hub are not compared.
    assert unique_values([file, file]).ids.tolist() == [[0], [1]]


def test_positive_pairs_are_unique_and_have_high_scores() -> None:
    pairs = np.array([[1, 0], [0, 2], [1, 0], [0, 1]])
    assert positive_pairs(pairs).tolist() == [[0, 1], [0, 2], [1, 0]]
    assert positive_pairs(pairs, np.array([0.8, 0.79, 0.9, 1.0])).tolist() == [[0, 1], [1, 0]]


def test_items_of_a_label_are_partners_once() -> None:
    labels = np.array([0, 1, 0, 2, 1, 0])
    pairs = positive_pairs_of_labels(labels, np.random.default_rng(0))
    assert sorted(pairs[:, 0]) == sorted(pairs[:, 1]) == [0, 1, 2, 4, 5]
    assert all(labels[i] == labels[j] and i != j for i, j in pairs)


def test_excluded_are_equal_texts_and_scored_pairs() -> None:
    first, second = Side("a", ["x", "y"], [0, 1]), Side("b", ["y", "z"], [0, 1])
    assert excluded_pairs(first, second).tolist() == [[1, 0]]
    assert excluded_pairs(first, second, np.array([[0, 1]])).tolist() == [[1, 0], [0, 1]]
    assert excluded_pairs(Side("a", ["y"], [0], "image"), second).shape == (0, 2)


def test_negatives_are_never_known_pairs() -> None:
    anchors = np.array([0, 1, 1])
    known = np.array([[0, 0], [0, 1], [1, 2], *[[2, j] for j in range(4)]])
    found = sampled_negatives(anchors, known, 4, np.random.default_rng(0))
    assert np.bincount(found[:, 0]).tolist() == [NEGATIVES] * 3
    assert not np.isin(pair_keys(np.stack([anchors[found[:, 0]], found[:, 1]], axis=1), 4), pair_keys(known, 4)).any()
    assert sampled_negatives(np.array([2]), known, 4, np.random.default_rng(0)).shape == (0, 2)


def test_negatives_of_labels_have_other_labels() -> None:
    labels = np.array([0, 0, 1, 1, 2])
    found = sampled_negatives_of_labels(np.array([0, 4]), labels, np.random.default_rng(0))
    assert np.bincount(found[:, 0]).tolist() == [NEGATIVES] * 2
    assert all(labels[item] != (0, 2)[number] for number, item in found)


def test_a_score_of_four_in_five_is_high() -> None:
    pairs = np.array([[0, 0], [1, 1], [2, 2]])
    assert positive_pairs(pairs, np.array([0.8, 0.79, 1.0])).tolist() == [[0, 0], [2, 2]]

"""Items that are worth reading."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from nearfar.inspection.findings import HUBS, LISTED, false_negatives, hubs, near_duplicate_items
from nearfar.inspection.measuring import measure
from nearfar.inspection.records import with_places
from nearfar.inspection.sampling import draw_sample

from .helpers import pairs, random_unit, unit


def test_candidates_are_ordered_by_their_negative() -> None:
    sample = draw_sample(pairs(4), 100)
    a = unit(np.eye(4))
    b = unit([[0.1, 0, 1, 0], [0, 0.2, 0, 1], [0.6, 0, 1, 0], [0, 0.9, 0, 1]])
    named = false_negatives(sample, measure(sample, (a, b)).neighbours)
    ranks = [(each.item.origin, each.positive.origin, each.negative.origin, each.above) for each in named]
    assert ranks == [(2, 2, 0, 1), (3, 3, 1, 1), (1, 1, 3, 1), (0, 0, 2, 1)]
    assert [each.negative_cosine for each in named] == pytest.approx([a[i] @ b[j] for i, _, j, _ in ranks])
    assert [each.positive_cosine for each in named] == pytest.approx([a[i] @ b[j] for i, j, _, _ in ranks])


def test_two_items_of_one_side_are_named_once_for_both() -> None:
    rows = Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": ["x", "y", "x", "y"]})
    sample = draw_sample(rows, 100)
    found = measure(sample, (unit([[1, 0], [1, 0.1], [-1, 0.1], [-1, 0]]),))
    assert (found.neighbours.above > 0).all()
    named = false_negatives(sample, found.neighbours)
    assert sorted(sorted((each.item.origin, each.negative.origin)) for each in named) == [[0, 1], [2, 3]]


def test_lists_are_limited_and_counts_are_not() -> None:
    n = 120
    sample = draw_sample(pairs(n), 200)
    same = np.tile(unit([[1, 0]]), (n, 1))
    listed, count = near_duplicate_items(sample, (same, random_unit(n, 2)), 0.9999999)
    assert len(listed) == LISTED
    assert count >= n * (n - 1) // 2
    assert {each.first.kind for each in listed} <= {"anchor", "positive"}


def test_near_duplicates_of_both_sides_are_ordered_together() -> None:
    sample = draw_sample(pairs(4), 100)
    listed, count = near_duplicate_items(sample, (random_unit(4, 3), random_unit(4, 3, 1)), -1.0)
    assert count == len(listed) == 12
    assert [each.cosine for each in listed] == sorted((each.cosine for each in listed), reverse=True)
    assert len({each.first.kind for each in listed}) == 2


def test_hubs_come_from_the_last_side_most_frequent_first() -> None:
    sample = draw_sample(pairs(20), 100)
    occurrence = np.array([3, 9, 9, *range(17)])
    found = hubs(sample, occurrence)
    assert len(found) == HUBS
    assert [hub.occurrence for hub in found] == sorted(occurrence, reverse=True)[:HUBS]
    assert {hub.item.kind for hub in found} == {"positive"}
    placed = with_places(found[0], lambda kind, origin: {"kind": kind, "id": str(origin)})
    assert placed.item.place == {"kind": "positive", "id": str(found[0].item.origin)}


def test_only_items_with_a_negative_above_their_positive_are_named() -> None:
    sample = draw_sample(pairs(3), 100)
    vectors = unit(np.eye(3)), unit([[1, 0, 0], [0, 0.2, 0.8], [0, 0.9, 0.1]])
    named = false_negatives(sample, measure(sample, vectors).neighbours)
    assert sorted(each.item.origin for each in named) == [1, 2]
    assert all(each.above > 0 for each in named)


def test_the_list_of_candidates_is_limited() -> None:
    n = LISTED + 20
    # Every positive is the negative of the one before it.
    vectors = unit(np.eye(n)), unit(np.roll(np.eye(n), 1, axis=0) + 0.1 * np.eye(n))
    sample = draw_sample(pairs(n), n)
    found = measure(sample, vectors).neighbours
    assert int((found.above > 0).sum()) == n
    assert len(false_negatives(sample, found)) == LISTED

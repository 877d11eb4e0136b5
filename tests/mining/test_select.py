"""Which candidates become negatives, on worked scores."""

from __future__ import annotations

import random

import pytest
import torch

from nearfar.errors import InputError
from nearfar.mining import HardNegatives
from nearfar.mining.hard_negatives import REASONS, positives_of, select

SCORES = torch.tensor([[0.9, 0.8, float("-inf"), 0.5, 0.4, -0.2]])


def chosen(positive: float = 0.8, depth: int = 6, **options: object) -> tuple[list[int], list[str | None]]:
    how = HardNegatives(**options)  # pyright: ignore[reportArgumentType]
    found = select(SCORES, torch.tensor([positive]), how, depth, random.Random(0))
    return found.negatives[0].tolist(), [None if at < 0 else REASONS[at] for at in found.reasons[0].tolist()]


def test_limits_name_what_they_drop() -> None:
    assert chosen() == ([0, 1, 3], [None] * 6)
    columns, reasons = chosen(absolute_margin=0.3, max_score=0.85, min_score=0.0)
    assert columns == [4, -1, -1] or columns == [3, 4, -1]  # 0.5 + 0.3 = 0.8 up to rounding
    assert reasons[:2] == ["absolute_margin", "absolute_margin"]
    assert reasons[2] is None  # a positive is not dropped: it is no candidate
    assert reasons[5] == "min_score"


def test_a_relative_margin_is_below_a_negative_score_too() -> None:
    # 50 % of the magnitude of -0.1 below it is -0.15.
    assert chosen(positive=-0.1, relative_margin=0.5)[0] == [5, -1, -1]
    assert chosen(positive=-0.1, relative_margin=1.5)[0] == [-1, -1, -1]


def test_ranks_count_what_remains() -> None:
    assert chosen(range_min=1, num_negatives=2)[0] == [1, 3]
    assert chosen(range_min=1, depth=3, num_negatives=2)[0] == [1, 3]
    assert chosen(range_min=1, max_score=0.85, num_negatives=2)[0] == [3, 4]
    assert chosen(depth=2)[0] == [0, 1, -1]


def test_a_sample_is_of_the_remaining_candidates() -> None:
    for seed in range(20):
        how = HardNegatives(2, sampling_strategy="random", max_score=0.85)
        found = select(SCORES, torch.tensor([1.0]), how, 6, random.Random(seed)).negatives[0].tolist()
        assert set(found) <= {1, 3, 4, 5}
        assert found == sorted(found)
        assert len(set(found)) == 2


def test_the_depth_leaves_room_for_what_is_dropped() -> None:
    assert HardNegatives(3, range_min=2).depth(1) == 6
    assert HardNegatives(3, range_min=2, max_score=0.9).depth(1) == 33
    assert HardNegatives(3, min_score=0.1).depth(1) == 4
    assert HardNegatives(3, min_score=0.1).depth(1, judged=True) == 31
    assert HardNegatives(3, range_max=7).depth(5) == 7
    with pytest.raises(InputError, match="sampling_strategy"):
        HardNegatives(sampling_strategy="best")  # pyright: ignore[reportArgumentType]


def test_positives_of_a_query_in_several_rows() -> None:
    assert {query: list(of) for query, of in positives_of(["a", "b", "a", "a"], [3, 1, 2, 3]).items()} == {
        "a": [3, 2],
        "b": [1],
    }

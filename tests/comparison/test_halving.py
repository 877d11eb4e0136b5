"""The schedule of successive halving."""

from __future__ import annotations

import pytest

from nearfar.comparison.halving import FINALISTS, rungs, survivors


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (3, [3]), (4, [4, 2]), (7, [7, 4, 2]), (24, [24, 12, 6, 3])])
def test_half_go_on(count: int, sizes: list[int]):
    found = rungs(count, 5)
    assert [rung.configurations for rung in found] == sizes
    assert sizes[-1] <= FINALISTS
    assert [rung.seeds for rung in found] == [1] * (len(sizes) - 1) + [5]
    # Each rung has twice the budget of a run in the rung before.
    assert [rung.share for rung in found] == [2.0**-at for at in reversed(range(len(sizes)))]


def test_survivors_keep_their_order():
    assert survivors({"a": 0.1, "b": 0.3, "c": 0.3, "d": 0.2}, 2) == ["b", "c"]
    assert survivors({"a": 0.1, "b": 0.3, "c": 0.2}, 2) == ["b", "c"]
    assert survivors({"a": 0.1, "b": 0.1, "c": 0.1}, 2) == ["a", "b"]
    assert survivors({"a": 0.1}, 2) == ["a"]

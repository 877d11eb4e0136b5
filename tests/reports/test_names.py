"""Names beside lines: near their ends, without overlap."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.reports._names import apart, beside, beside_width, name_width


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_positions_keep_their_order_and_distance(wanted: list[float]) -> None:
    wanted.sort()
    found = apart(wanted, 10, 0, 100)
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(found))
    assert found[0] >= -1e-9
    assert found[-1] <= 100 + 1e-9


def test_positions_that_fit_stay() -> None:
    assert apart([10, 30, 50], 10, 0, 100) == [10, 30, 50]
    assert apart([95, 99], 10, 0, 100) == [90, 100]
    assert apart([0, 1], 10, 0, 100) == [0, 10]


def test_room_for_names_only_where_several_fit() -> None:
    assert beside_width(["one"], 760) == 0
    assert beside_width(["a", "b"], 760) == pytest.approx(max(name_width("a"), name_width("b")) + 18)
    assert beside_width(["a", "a longer name"] * 4, 760) > 0
    assert beside_width(["a"] * 9, 760) == 0
    assert beside_width(["a", "x" * 200], 760) == 0


def test_each_name_is_at_the_end_of_its_line() -> None:
    drawn = beside(["low", "high"], [(100, 80.0), (100, 20.0)], 110, 0, 100)
    places = {name: float(y) for y, name in re.findall(r'y="([\d.]+)"[^>]*>(\w+)</text>', drawn)}
    assert places == {"high": 24, "low": 84}
    assert drawn.index("high") < drawn.index("low"), "from the top"
    assert re.search(r'class="c1".*high.*class="c0".*low|high.*c1.*low.*c0', drawn), "in the colours of their series"

"""The frame of a chart: from data to pixels, and as many labels as there is room for."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest

from nearfar.reports._axis import Axis, linear_axis
from nearfar.reports._frame import TICK_SIZE, Frame, fitting, frame, pointer_columns
from nearfar.reports.text import text_width

PLACE = Frame(200, 100, 50, 150, 10, 90, Axis(0, 10, ((0, "0"), (10, "10"))), Axis(0, 1, ((0, "0"), (1, "1"))))


def test_data_to_pixels() -> None:
    assert [PLACE.px(value) for value in (0, 5, 10)] == [50, 100, 150]
    assert [PLACE.py(value) for value in (0, 0.5, 1)] == [90, 50, 10]


@pytest.mark.parametrize("width", [340, 760])
@pytest.mark.parametrize("high", [1, 1_000_000])
def test_everything_is_inside_the_image(width: int, high: float) -> None:
    found = frame(
        width, partial(linear_axis, 0, high), partial(linear_axis, 0, high), x_label="x", y_label="y", beside=80
    )
    assert 0 < found.left < found.right <= width - 80
    assert 0 < found.top < found.bottom < found.height
    for value, label in found.y.ticks:
        assert text_width(label, TICK_SIZE) + 8 <= found.left, value
    for value, label in found.x.ticks:
        assert found.px(value) + text_width(label, TICK_SIZE) / 2 <= width - 80
        assert found.px(value) - text_width(label, TICK_SIZE) / 2 >= 0


def test_names_of_axes_need_room() -> None:
    make = partial(linear_axis, 0, 1)
    named, bare = (frame(760, make, make, x_label=name, y_label=name) for name in ("name", ""))
    assert named.height > bare.height
    assert named.top > bare.top


@pytest.mark.parametrize("span", [500, 150, 60])
def test_as_many_labels_as_fit(span: float) -> None:
    axis = fitting(partial(linear_axis, 0, 1_000), span, most=10)
    places = [(axis.fraction(v) * span, text_width(label, TICK_SIZE) / 2) for v, label in axis.ticks]
    assert all(a + half < b - other for (a, half), (b, other) in pairwise(places))
    more = fitting(partial(linear_axis, 0, 1_000), 2_000, most=10)
    assert len(axis.ticks) <= len(more.ticks)
    assert len(more.ticks) > 5


def test_where_nothing_fits_one_label_is_left() -> None:
    assert len(fitting(partial(linear_axis, 0, 1_000_000), 5, most=10).ticks) == 1


def test_columns_of_the_pointer_meet_half_way() -> None:
    drawn = pointer_columns(PLACE, [60, 100, 140], ["one", "two", "three"])
    rectangles = [part.split("/>")[0] for part in drawn.split("<rect ")[1:]]
    assert [part.split(" ")[0] for part in rectangles] == ['x="50"', 'x="80"', 'x="120"']
    assert ['width="30"' in part for part in rectangles] == [True, False, True]
    assert [f'data-tip="{tip}"' in drawn for tip in ("one", "two", "three")] == [True] * 3

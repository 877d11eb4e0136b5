"""The chart of a map."""

from __future__ import annotations

import re

import pytest

from nearfar.reports.charts.flat_map import flat_map

DOT = r'<circle cx="([0-9.]+)" cy="([0-9.]+)"[^>]*data-tip="([a-e])'


def test_a_map_has_one_scale_and_its_rest_behind() -> None:
    square = [(0.0, 0.0, "a"), (4.0, 0.0, "b"), (4.0, 2.0, "c")]
    figure = flat_map({"rest": [(1.0, 1.0, "d")], "group": square, "other": [(2.0, 1.0, "e")]}, title="m", rest="rest")
    for picture in (figure.wide, figure.narrow):
        circles = {tip: (float(x), float(y)) for x, y, tip in re.findall(DOT, str(picture))}
        (ax, ay), (bx, by), (cx, cy) = (circles[name] for name in "abc")
        assert ay == by
        assert bx == cx
        assert (bx - ax) == pytest.approx(2 * (by - cy), abs=0.05)
        assert cy < by  # up is up
    assert str(figure.wide).index('data-tip="d') < str(figure.wide).index('data-tip="a')
    assert str(figure.wide).count('fill-opacity="0.25"') == 1
    assert [name for _, name in figure.legend] == ["group", "other", "rest"]
    assert ">rest<" not in str(figure.wide)
    with pytest.raises(ValueError, match="finite"):
        flat_map({"a": [(float("nan"), 0.0, "")]}, title="m")
    assert "cx" in str(flat_map({"a": [(1.0, 1.0, "one")]}, title="m").wide)

from __future__ import annotations

import re

import pytest
from helpers_charts import NAN, elements, names

from nearfar.reports import flat_map


@pytest.mark.parametrize(
    ("draw", "argument"),
    [
        (lambda: flat_map({}, title="t"), "series"),
        (lambda: flat_map({"a": [(0, NAN, "")]}, title="t"), "series 'a', y"),
        (lambda: flat_map({"a": [], "b": [(0, 1, "")]}, title="t"), "series 'a', x"),
        (lambda: flat_map({str(k): [(0, 0, "")] for k in range(21)}, title="t"), "21"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line_that_names_chart_and_argument(draw, argument):
    with pytest.raises(ValueError, match=re.escape(argument)) as caught:
        draw()
    assert "\n" not in str(caught.value)
    assert "'t'" in str(caught.value)


def test_groups_are_named_at_their_middle_unless_names_would_overlap():
    figure = flat_map({"a": [(0, 0, ""), (1, 1, "")], "b": [(9, 9, "")], "c": [(9, 9, "")]}, title="t")
    assert [t.text for t in elements(figure.wide, "text", "series")] == ["a", "b"]
    assert names(figure) == ["a", "b", "c"]


def test_both_axes_have_one_scale_and_y_points_up():
    figure = flat_map({"a": [(0, 0, "origin"), (4, 0, "right"), (0, 3, "up")]}, title="t")
    for image in (figure.wide, figure.narrow):
        dots = {c.get("data-tip", "").partition(" ")[0]: c for c in elements(image, "circle")}
        x, y = ({name: float(dot.get(axis, "")) for name, dot in dots.items()} for axis in ("cx", "cy"))
        assert (x["right"] - x["origin"]) / (y["origin"] - y["up"]) == pytest.approx(4 / 3, rel=0.01)


def test_the_rest_is_grey_behind_the_groups_and_last_in_the_legend():
    figure = flat_map({"rest": [(0, 0, "r")], "a": [(1, 1, "x")]}, title="t", rest="rest")
    groups = [g for g in elements(figure.wide, "g") if "points" in g.get("class", "")]
    assert [(g.get("class"), g[0].get("fill-opacity")) for g in groups] == [("c5 points", "0.25"), ("c0 points", None)]
    assert names(figure) == ["a", "rest"]
    assert elements(figure.wide, "text", "series") == []


def test_of_many_points_an_even_part_is_drawn_and_all_are_in_the_table():
    groups = {"a": [(i, i % 7, "") for i in range(90)], "b": [(i, 3, "") for i in range(10)]}
    figure = flat_map(groups, title="t", caption="Close is similar.", most=50)
    assert len(elements(figure.wide, "circle")) == 45
    assert figure.caption.startswith("Close is similar. 50 of 100 ")
    assert len(figure.table.rows) == 100


def test_a_single_point_is_drawn_in_the_middle():
    figure = flat_map({"a": [(1, 1, "one")]}, title="t")
    (dot,) = elements(figure.wide, "circle")
    _, _, width, height = map(float, elements(figure.wide, "svg")[0].get("viewBox", "").split())
    assert (float(dot.get("cx", "")), float(dot.get("cy", ""))) == (pytest.approx(width / 2), pytest.approx(height / 2))

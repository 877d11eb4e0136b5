from __future__ import annotations

import re

import pytest
from helpers_charts import NAN, elements, names, texts

from nearfar.reports import Estimate, dot_interval_chart


@pytest.mark.parametrize(
    ("draw", "argument"),
    [
        (lambda: dot_interval_chart([], {"a": []}, title="t"), "labels"),
        (lambda: dot_interval_chart(["x"], {}, title="t"), "series"),
        (lambda: dot_interval_chart(["x"], {"a": [None]}, title="t"), "estimates"),
        (lambda: dot_interval_chart(["x"], {"a": [(1, 2, 0)]}, title="t"), "interval: 2"),
        (lambda: dot_interval_chart(["x"], {"a": [Estimate(1, 0)]}, title="t"), "0 and None"),
        (lambda: dot_interval_chart(["x"], {"a": [(NAN, 0, 1)]}, title="t"), "series 'a'"),
        (lambda: dot_interval_chart(["x"], {"a": [(1, 0, 2)]}, title="t", reference=NAN), "reference"),
        (lambda: dot_interval_chart(["x", "y"], {"a": [(1, 0, 2)]}, title="t"), "series 'a'"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line_that_names_chart_and_argument(draw, argument):
    with pytest.raises(ValueError, match=re.escape(argument)) as caught:
        draw()
    assert "\n" not in str(caught.value)
    assert "'t'" in str(caught.value)


def test_dots_show_value_and_interval_and_missing_ones_are_empty():
    figure = dot_interval_chart(["x", "y"], {"old": [(0.5, 0.4, 0.6), None], "new": [(0.7, 0.6, 0.8)] * 2}, title="t")
    assert texts(figure).count("0.700") == 2
    assert "[0.400, 0.600]" in texts(figure)
    assert len(elements(figure.wide, "line", "whisker")) == 9
    assert figure.table.rows[2] == ["y", "old", None, None, None]
    assert "old 0.500 [0.400, 0.600]" in elements(figure.wide, "svg")[0].get("aria-label", "")


def test_each_dot_has_its_tip_and_the_colour_of_its_series():
    figure = dot_interval_chart(["x"], {"old": [(0.5, 0.4, 0.6)], "new": [(0.7, 0.6, 0.8)]}, title="t")
    marks = [g for g in elements(figure.wide, "g") if g.get("data-tip")]
    assert [(g.get("class"), g.get("data-tip")) for g in marks] == [
        ("c0", "x old 0.500 [0.400, 0.600]"),
        ("c1", "x new 0.700 [0.600, 0.800]"),
    ]


def test_estimates_without_intervals_have_no_interval_columns():
    figure = dot_interval_chart(["x"], {"a": [Estimate(0.5)]}, title="t")
    assert figure.table.columns == ["row", "series", "value"]


def test_series_are_named_beside_the_values():
    figure = dot_interval_chart(["r"], {"before": [(1, 0, 2)], "after": [(3, 2, 4)]}, title="t")
    assert names(figure) == []
    assert {"before", "after"} <= set(texts(figure))


def test_the_dots_of_a_row_are_below_each_other():
    figure = dot_interval_chart(["x"], {"old": [(1, 0, 2)], "new": [(3, 2, 4)]}, title="t")
    for image in (figure.wide, figure.narrow):
        marks = [g for g in elements(image, "g") if g.get("data-tip")]
        old, new = ([float(line.get("y1", "")) for line in g.iter("line")] for g in marks)
        assert min(new) > max(old)

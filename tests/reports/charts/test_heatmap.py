# ruff: noqa: RUF001 (minus signs are what is tested)
from __future__ import annotations

import re

import pytest
from helpers_charts import NAN, elements, names, texts

from nearfar.reports import heatmap


@pytest.mark.parametrize(
    ("draw", "argument"),
    [
        (lambda: heatmap([], ["a"], [], title="t"), "rows"),
        (lambda: heatmap(["r"], [], [[]], title="t"), "columns"),
        (lambda: heatmap(["r"], ["a", "b"], [[1]], title="t"), "row 'r'"),
        (lambda: heatmap(["r", "s"], ["a"], [[1]], title="t"), "expected 2"),
        (lambda: heatmap(["r"], ["a"], [[NAN]], title="t"), "row 'r'"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line_that_names_chart_and_argument(draw, argument):
    with pytest.raises(ValueError, match=re.escape(argument)) as caught:
        draw()
    assert "\n" not in str(caught.value)
    assert "'t'" in str(caught.value)


def test_cells_are_shaded_by_size_and_coloured_by_sign():
    figure = heatmap(["r"], ["a", "b", "c"], [[1.0, -1.0, 0.5]], title="t")
    shades = [rect.get("fill-opacity") for rect in elements(figure.wide, "rect")]
    assert shades == ["1.000", "1.000", "0.530"]
    colours = [g.get("class") for g in elements(figure.wide, "g") if g.get("data-tip")]
    assert colours == ["c0", "c1", "c0"]


def test_numbers_are_in_the_cells_or_shades_are_in_the_legend():
    few = heatmap(["r"], ["a", "b"], [[0.25, -0.5]], title="t")
    assert {"0.25", "−0.50"} <= set(texts(few))
    assert names(few) == []
    wide = heatmap(["r"], [f"c{i}" for i in range(40)], [[i / 40 - 0.5 for i in range(40)]], title="t")
    assert names(wide) == ["0.5", "0", "−0.5"]
    assert wide.wide_legend

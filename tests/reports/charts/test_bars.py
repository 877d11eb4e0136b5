from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from helpers_charts import INF, elements, names, texts

from nearfar.reports import bar_chart


@pytest.mark.parametrize(
    ("draw", "argument"),
    [
        (lambda: bar_chart([], {"a": []}, title="t"), "labels"),
        (lambda: bar_chart(["x"], {}, title="t"), "series"),
        (lambda: bar_chart(["x"], {"a": [INF]}, title="t"), "series 'a'"),
        (lambda: bar_chart(["x"], {"a": [1, 2]}, title="t"), "series 'a'"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line_that_names_chart_and_argument(draw, argument):
    with pytest.raises(ValueError, match=re.escape(argument)) as caught:
        draw()
    assert "\n" not in str(caught.value)
    assert "'t'" in str(caught.value)


def test_bars_start_at_zero_and_are_as_long_as_their_amount():
    figure = bar_chart(["a", "b", "c"], {"n": [10, 20, -10]}, title="t")
    bars = elements(figure.wide, "rect", "bar")
    starts, widths = [float(bar.get("x", "")) for bar in bars], [float(bar.get("width", "")) for bar in bars]
    assert starts[0] == starts[1]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.05)
    assert starts[2] + widths[2] == pytest.approx(starts[0], abs=0.05)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_axis_contains_zero_and_marks_it(sign: int):
    figure = bar_chart(["a", "b"], {"n": [1000 * sign, 1001 * sign]}, title="t")
    for image in (figure.wide, figure.narrow):
        (line,) = elements(image, "line", "reference")
        assert 0 <= float(line.get("x1", "")) <= float(ET.fromstring(image).get("viewBox", "").split()[2])
        for bar in elements(image, "rect", "bar"):
            start, width = float(bar.get("x", "")), float(bar.get("width", ""))
            assert width > 1
            assert (start if sign > 0 else start + width) == pytest.approx(float(line.get("x1", "")), abs=0.05)


def test_each_amount_is_beside_its_own_bar():
    figure = bar_chart(["a", "b"], {"n": [1, 2], "m": [3, 4]}, title="t")
    assert texts(figure, "value") == ["1", "3", "2", "4"]
    tips = [g.get("data-tip") for g in elements(figure.wide, "g") if g.get("data-tip")]
    assert tips == ["a n 1", "a m 3", "b n 2", "b m 4"]
    assert figure.table.rows == [["a", 1, 3], ["b", 2, 4]]


def test_names_without_room_beside_the_values_are_in_the_legend():
    series = {"a name that is too long for a column": [1], "b": [2]}
    figure = bar_chart(["r"], series, title="t")
    assert figure.wide_legend
    assert names(figure) == list(series)


def test_one_series_has_neither_name_nor_legend():
    figure = bar_chart(["r"], {"alone": [1]}, title="t")
    assert names(figure) == []
    assert "alone" not in texts(figure)

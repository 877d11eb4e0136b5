from __future__ import annotations

import re

import numpy as np
import pytest
from helpers_charts import INF, NAN, elements, names

from nearfar.reports import line_chart


@pytest.mark.parametrize(
    ("draw", "argument"),
    [
        (lambda: line_chart({}, title="t"), "series"),
        (lambda: line_chart({"train": []}, title="t"), "series 'train', x"),
        (lambda: line_chart({"train": [(0, 1), (1, NAN)]}, title="t"), "series 'train', y"),
        (lambda: line_chart({"train": [(INF, 1)]}, title="t"), "series 'train', x"),
        (lambda: line_chart({"a": [(0, 0)]}, title="t", log_y=True), "log_y"),
        (lambda: line_chart({str(k): [(0, 0)] for k in range(25)}, title="t"), "25"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line_that_names_chart_and_argument(draw, argument):
    with pytest.raises(ValueError, match=re.escape(argument)) as caught:
        draw()
    assert "\n" not in str(caught.value)
    assert "'t'" in str(caught.value)


def points(d: str) -> list[tuple[float, float]]:
    pairs = [pair.split() for pair in d[1:].split("L")]
    return [(float(x), float(y)) for x, y in pairs]


def test_a_line_connects_its_points_in_the_order_of_x():
    figure = line_chart({"a": [(2, 4), (0, 0), (1, 2)]}, title="t")
    (line,) = elements(figure.wide, "path", "line")
    xs, ys = zip(*points(line.get("d", "")), strict=True)
    assert list(xs) == sorted(xs)
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.05)
    assert ys[0] > ys[2]


def test_a_long_line_keeps_its_peak_in_few_bytes():
    values = [(i, 1.0) for i in range(50_000)]
    values[31_234] = (31_234, 9.0)
    figure = line_chart({"a": values, "b": [(0, 0)]}, title="t")
    assert len(figure.wide) < 150_000
    (line,) = elements(figure.wide, "path", "line dense")
    ys = [y for _, y in points(line.get("d", ""))]
    assert ys.index(min(ys)) / len(ys) == pytest.approx(31_234 / 50_000, abs=0.01)
    assert len(figure.table.rows) == 400
    assert figure.table.everything is not None
    assert len(figure.table.everything) == 50_000


def test_series_with_different_x_have_gaps_in_the_table():
    figure = line_chart({"train": [(1, 0.5), (2, 0.4)], "eval": [(2, 0.6)]}, title="t")
    assert figure.table.columns == ["step", "train", "eval"]
    assert figure.table.rows == [[1, 0.5, None], [2, 0.4, 0.6]]


def test_arrays_are_accepted():
    figure = line_chart({"a": np.array([[0, 1.5], [1, 2.5]], dtype="float32")}, title="t")
    assert figure.table.rows == [[0, 1.5], [1, 2.5]]


def test_lines_are_named_at_their_ends_and_need_no_legend():
    figure = line_chart({"up": [(0, 0), (9, 9)], "down": [(0, 9), (9, 0)], "low": [(0, 5), (9, 0.01)]}, title="t")
    assert names(figure) == []
    for image in (figure.wide, figure.narrow):
        heights = {t.text: float(t.get("y", "")) for t in elements(image, "text", "series")}
        assert heights["up"] < heights["low"] < heights["down"]
        assert heights["down"] - heights["low"] >= 15.9


def test_a_legend_is_shown_with_the_image_that_has_no_room_for_names():
    series = {"too long for a telephone": [(0, 1)], "b": [(0, 2)]}
    figure = line_chart(series, title="t")
    assert names(figure) == list(series)
    assert not figure.wide_legend
    assert len(elements(figure.wide, "text", "series")) == 2
    assert elements(figure.narrow, "text", "series") == []
    many = line_chart({f"n{k}": [(0, k)] for k in range(9)}, title="t")
    assert many.wide_legend
    assert names(many) == [f"n{k}" for k in range(9)]


def test_one_line_has_no_legend():
    assert names(line_chart({"alone": [(0, 1)]}, title="t")) == []

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from nearfar.reports import (
    Estimate,
    Figure,
    bar_chart,
    dot_interval_chart,
    heatmap,
    histogram,
    line_chart,
    scatter,
)

NAN, INF = float("nan"), float("inf")


def elements(figure: Figure, name: str) -> list[ET.Element]:
    return list(ET.fromstring(figure.wide).iter(name))


def texts(figure: Figure) -> list[str]:
    return ["".join(text.itertext()) for text in elements(figure, "text")]


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: line_chart({}, title="t"), "series is empty"),
        (lambda: line_chart({"train": []}, title="t"), "'train'"),
        (lambda: line_chart({"train": [(0, 1), (1, NAN)]}, title="t"), "'train', y: value 1 is nan"),
        (lambda: line_chart({"train": [(INF, 1)]}, title="t"), "'train', x: value 0 is inf"),
        (lambda: line_chart({"a": [(0, 0)]}, title="t", log_y=True), "logarithmic"),
        (lambda: line_chart({str(k): [(0, 0)] for k in range(25)}, title="t"), "25 are too many"),
        (lambda: histogram({"a": [0.5, NAN]}, title="t"), "value 1 is nan"),
        (lambda: histogram({"a": []}, title="t"), "'a' is empty"),
        (lambda: histogram({"a": [1]}, title="t", bins=0), "0 bins"),
        (lambda: dot_interval_chart([], {"a": []}, title="t"), "labels is empty"),
        (lambda: dot_interval_chart(["x"], {"a": [None]}, title="t"), "estimates is empty"),
        (lambda: dot_interval_chart(["x"], {"a": [(1, 2, 0)]}, title="t"), "upside down"),
        (lambda: dot_interval_chart(["x"], {"a": [Estimate(1, 0)]}, title="t"), "both its ends"),
        (lambda: dot_interval_chart(["x"], {"a": [(NAN, 0, 1)]}, title="t"), "nan"),
        (lambda: dot_interval_chart(["x", "y"], {"a": [(1, 0, 2)]}, title="t"), "1 values for 2 labels"),
        (lambda: bar_chart(["x"], {"a": [INF]}, title="t"), "inf"),
        (lambda: bar_chart(["x"], {"a": [1, 2]}, title="t"), "2 values for 1 labels"),
        (lambda: scatter({"a": [(0, NAN, "")]}, title="t"), "nan"),
        (lambda: heatmap(["r"], ["a", "b"], [[1]], title="t"), "1 values for 2 labels"),
        (lambda: heatmap(["r"], ["a"], [[NAN]], title="t"), "nan"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(draw, says):
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        draw()
    assert "\n" not in str(caught.value)
    assert "'t'" in str(caught.value)


def test_a_line_goes_through_its_points_in_order_of_x():
    figure = line_chart({"a": [(2, 4), (0, 0), (1, 2)]}, title="t")
    d = next(path.get("d") for path in elements(figure, "path") if path.get("class") == "line")
    xs, ys = zip(*[tuple(map(float, pair.split())) for pair in d[1:].split("L")], strict=True)
    assert list(xs) == sorted(xs)
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.05)
    assert ys[0] > ys[2]


def test_a_long_line_keeps_its_peak_and_stays_small():
    points = [(i, 1.0) for i in range(50_000)]
    points[31_234] = (31_234, 9.0)
    figure = line_chart({"a": points, "b": [(0, 0)]}, title="t")
    assert len(figure.wide) < 150_000
    d = next(path.get("d") for path in elements(figure, "path") if path.get("class") == "line dense")
    ys = [float(pair.split()[1]) for pair in d[1:].split("L")]
    assert ys.index(min(ys)) / len(ys) == pytest.approx(31_234 / 50_000, abs=0.01)
    assert "400 of 50,000 rows" in figure.table.caption


def test_series_with_other_steps_leave_gaps_in_the_table():
    figure = line_chart({"train": [(1, 0.5), (2, 0.4)], "eval": [(2, 0.6)]}, title="t")
    assert figure.table.columns == ["step", "train", "eval"]
    assert figure.table.rows == [[1, 0.5, None], [2, 0.4, 0.6]]


def test_histogram_counts_every_value_once_and_scales_to_one_hundred():
    values = [-1.0, -0.3, 0.1, 0.2, 0.3, 0.7, 1.0, 1.0]
    figure = histogram({"a": values, "b": [0.0]}, title="t", bins=20)
    starts, ends, counts, shares, *_ = zip(*figure.table.rows, strict=True)
    assert (starts[0], ends[-1]) == (-1.0, 1.0)
    assert sum(counts) == len(values)
    assert math.fsum(shares) == pytest.approx(100)
    by_edge = dict(zip(starts, counts, strict=True))
    assert by_edge[0.3] == 1
    assert by_edge[0.9] == 2


def test_dots_show_value_and_interval_and_skip_what_is_missing():
    figure = dot_interval_chart(["x", "y"], {"old": [(0.5, 0.4, 0.6), None], "new": [(0.7, 0.6, 0.8)] * 2}, title="t")
    assert texts(figure).count("0.700") == 2
    assert "[0.400, 0.600]" in texts(figure)
    assert len([line for line in elements(figure, "line") if line.get("class") == "whisker"]) == 9
    assert figure.table.rows[2] == ["y", "old", None, None, None]
    assert "old 0.500 [0.400, 0.600]" in elements(figure, "svg")[0].get("aria-label", "")


def test_estimates_without_intervals_have_no_interval_columns():
    figure = dot_interval_chart(["x"], {"a": [Estimate(0.5)]}, title="t")
    assert figure.table.columns == ["row", "series", "value"]


def test_bars_start_at_zero_and_grow_with_their_amount():
    figure = bar_chart(["a", "b", "c"], {"n": [10, 20, -10]}, title="t")
    bars = [rect for rect in elements(figure, "rect") if rect.get("class") == "bar"]
    starts, widths = [float(bar.get("x", "")) for bar in bars], [float(bar.get("width", "")) for bar in bars]
    assert starts[0] == starts[1]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.05)
    assert starts[2] + widths[2] == pytest.approx(starts[0], abs=0.05)


def test_heatmap_shades_by_size_and_colours_by_sign():
    figure = heatmap(["r"], ["a", "b", "c"], [[1.0, -1.0, 0.5]], title="t")
    shades = [rect.get("fill-opacity") for rect in elements(figure, "rect")]
    assert shades == ["1.000", "1.000", "0.530"]
    colours = [g.get("class") for g in elements(figure, "g") if g.get("data-tip")]
    assert colours == ["c0", "c1", "c0"]


def test_tensors_and_arrays_are_numbers_too():
    import numpy as np

    figure = line_chart({"a": np.array([[0, 1.5], [1, 2.5]], dtype="float32")}, title="t")
    assert figure.table.rows == [[0, 1.5], [1, 2.5]]
    assert histogram({"a": np.ones(3)}, title="t").table.rows


def test_a_figure_takes_no_plain_text_as_picture():
    figure = bar_chart(["a"], {"n": [1]}, title="t")
    with pytest.raises(TypeError, match="Markup"):
        Figure("t", "<svg></svg>", figure.narrow, figure.table)  # type: ignore[arg-type]


def test_lines_are_named_where_they_end_and_need_no_legend():
    figure = line_chart({"up": [(0, 0), (9, 9)], "down": [(0, 9), (9, 0)], "low": [(0, 5), (9, 0.01)]}, title="t")
    assert not figure.legend
    for picture in (figure.wide, figure.narrow):
        found = [t for t in ET.fromstring(picture).iter("text") if t.get("class") == "series"]
        heights = {t.text: float(t.get("y", "")) for t in found}
        assert heights["up"] < heights["low"] < heights["down"]
        assert heights["down"] - heights["low"] >= 15.9


def test_lines_whose_names_need_room_have_a_legend_where_it_is_missing():
    names = {"too long for a telephone": [(0, 1)], "b": [(0, 2)]}
    figure = line_chart(names, title="t")
    assert [name for _, name in figure.legend] == list(names)
    assert not figure.wide_legend
    assert 'class="series"' in figure.wide
    assert 'class="series"' not in figure.narrow
    many = line_chart({f"n{k}": [(0, k)] for k in range(9)}, title="t")
    assert many.wide_legend
    assert len(many.legend) == 9


def test_medians_names_are_not_run_through():
    figure = histogram({"left": [0.1, 0.11, 0.0], "middle": [0.5, 0.49], "right": [0.9, 0.89, 1.0]}, title="t")
    assert not figure.legend
    root = ET.fromstring(figure.wide)
    names = [t for t in root.iter("text") if t.get("class") == "series"]
    lines = [line for line in root.iter("line") if line.get("class") == "middle"]
    assert len(names) == len(lines) == 3
    for name in names:
        x, y, length = float(name.get("x", "")), float(name.get("y", "")), 6.5 * len(name.text or "")
        left, right = (x - length, x) if name.get("text-anchor") == "end" else (x, x + length)
        assert not [m for m in lines if float(m.get("y1", "")) < y - 12 and left < float(m.get("x1", "")) < right]


def test_rows_name_their_series_beside_the_values():
    figure = dot_interval_chart(["r"], {"before": [(1, 0, 2)], "after": [(3, 2, 4)]}, title="t")
    assert not figure.legend
    assert {"before", "after"} <= set(texts(figure))
    long = bar_chart(["r"], {"a name that is too long for a column": [1], "b": [2]}, title="t")
    assert long.wide_legend
    assert len(long.legend) == 2
    assert not bar_chart(["r"], {"alone": [1]}, title="t").legend


def test_groups_of_dots_are_named_in_their_middles_unless_names_would_meet():
    figure = scatter({"a": [(0, 0, ""), (1, 1, "")], "b": [(9, 9, "")], "c": [(9, 9, "")]}, title="t")
    named = [t.text for t in ET.fromstring(figure.wide).iter("text") if t.get("class") == "series"]
    assert named == ["a", "b"]
    assert [name for _, name in figure.legend] == ["a", "b", "c"]

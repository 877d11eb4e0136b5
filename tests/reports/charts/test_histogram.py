from __future__ import annotations

import math
import re

import numpy as np
import pytest
from helpers_charts import NAN, elements, names, texts

from nearfar.reports import histogram


@pytest.mark.parametrize(
    ("draw", "argument"),
    [
        (lambda: histogram({}, title="t"), "series"),
        (lambda: histogram({"a": [0.5, NAN]}, title="t"), "series 'a'"),
        (lambda: histogram({"a": []}, title="t"), "series 'a'"),
        (lambda: histogram({"a": [1]}, title="t", bins=0), "bins 0"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line_that_names_chart_and_argument(draw, argument):
    with pytest.raises(ValueError, match=re.escape(argument)) as caught:
        draw()
    assert "\n" not in str(caught.value)
    assert "'t'" in str(caught.value)


def test_every_value_is_counted_once_and_shares_add_up_to_one_hundred():
    values = [-1.0, -0.3, 0.1, 0.2, 0.3, 0.7, 1.0, 1.0]
    figure = histogram({"a": values, "b": [0.0]}, title="t", bins=20)
    starts, ends, counts, shares, *_ = zip(*figure.table.rows, strict=True)
    assert (starts[0], ends[-1]) == (-1.0, 1.0)
    assert sum(counts) == len(values)
    assert math.fsum(shares) == pytest.approx(100)
    by_edge = dict(zip(starts, counts, strict=True))
    assert by_edge[0.3] == 1
    assert by_edge[0.9] == 2


def test_shares_are_of_the_own_sample():
    figure = histogram({"large": [0.1] * 6 + [0.9] * 2, "small": [0.1, 0.9]}, title="t")
    _, _, _, large, counts, small = zip(*figure.table.rows, strict=True)
    assert sorted(set(large)) == [0, 25, 75]
    assert sorted(set(small)) == [0, 50]
    assert sum(counts) == 2


def test_arrays_are_accepted():
    assert histogram({"a": np.ones(3)}, title="t").table.rows


def test_each_median_has_its_line_and_the_legend_names_it_for_both_widths():
    series = {"left": [0.1, 0.11, 0.0], "middle": [0.5], "right": [0.9, 0.89, 1.0]}
    figure = histogram(series, title="t")
    assert names(figure) == ["left, median 0.10", "middle, median 0.50", "right, median 0.90"]
    assert figure.wide_legend
    assert texts(figure, "series") == []
    for image in (figure.wide, figure.narrow):
        lines = [float(line.get("x1", "")) for line in elements(image, "line", "middle")]
        assert lines == sorted(lines)
        assert (lines[1] - lines[0]) / (lines[2] - lines[0]) == pytest.approx(0.4 / 0.8, abs=0.01)


def test_one_series_has_its_median_in_the_legend_too():
    assert names(histogram({"a": [1.0, 2.0, 3.0]}, title="t")) == ["a, median 2.00"]

"""The charts of an inspection's page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from nearfar.inspection import MEASURES, inspect
from nearfar.inspection.page_figures import (
    COMPONENTS,
    DOTS,
    GROUPS,
    cut,
    grouped,
    map_figures,
    size_figures,
    spectrum_figure,
)
from nearfar.inspection.records import Point

from .helpers import labelled_inspection, random_unit


def points(counts: dict[str, int]) -> list[tuple[str, Point]]:
    return [(name, Point(0.0, 0.0, "t", name, "text")) for name, count in counts.items() for _ in range(count)]


def test_small_groups_are_one() -> None:
    """The others are the largest, and no point is lost."""
    found = labelled_inspection().points
    groups, rest = grouped((point.group, point) for point in found)
    assert str(20 - GROUPS) in str(rest)
    assert list(groups)[-1] == rest
    assert sum(map(len, groups.values())) == len(found)
    sizes = [len(dots) for dots in groups.values()][:-1]
    assert sizes == sorted(sizes, reverse=True)
    assert (
        max(sum(point.group == name for point in found) for name in {p.group for p in found} - set(groups)) <= sizes[-1]
    )


def test_one_group_more_than_there_are_colours_is_drawn_by_itself() -> None:
    groups, rest = grouped(points({f"l{i}": 1 for i in range(GROUPS + 1)}))
    assert (len(groups), rest) == (GROUPS + 1, None)
    groups, rest = grouped(points({f"l{i}": 1 for i in range(GROUPS + 2)}))
    assert len(groups) == GROUPS + 1
    assert len(groups[str(rest)]) == 2


def test_groups_that_are_not_the_sides_have_a_second_map() -> None:
    found = labelled_inspection(n=60, labels=3)
    assert len(map_figures({"a": found})) == 1
    assert len(map_figures({"a": found, "b": found})) == 2
    by_domain = [Point(0.0, 1.0 * i, "t", "xy"[i % 2], ("anchor", "positive")[i // 2]) for i in range(4)]
    assert len(map_figures({"a": replace(found, points=by_domain)})) == 2
    by_side = [point._replace(group=point.side) for point in by_domain]
    assert len(map_figures({"a": replace(found, points=by_side)})) == 1


def test_the_dots_of_all_maps_are_limited() -> None:
    found = labelled_inspection(n=60, labels=3)
    many = replace(found, points=[Point(float(i), 0.0, "t", "x", "text") for i in range(DOTS)])
    for models, dots in (({"a": many}, DOTS), ({"a": many, "b": many}, DOTS // 2)):
        assert {str(figure.wide).count("<circle") for figure in map_figures(models)} == {dots}


def test_the_spectrum_is_cumulative_and_ends_at_all_variance() -> None:
    found = labelled_inspection(n=60, labels=3)
    figure = spectrum_figure({"a": found})
    assert figure is not None
    shares = [float(row[1]) for row in figure.table.rows]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(100)
    assert len(shares) == len(found.spectrum) <= COMPONENTS
    assert (
        spectrum_figure({"a": inspect(np.ones((4, 3), np.float32), Dataset.from_dict({"text": list("abcd")}))}) is None
    )


def test_sizes_of_one_width_need_no_chart() -> None:
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(12)]})
    x = random_unit(12, 16)
    none, one, two = (size_figures({"a": inspect(x, rows, dims=dims)}) for dims in ([], [8], [8, 16]))
    assert none == {}
    assert one == {"dims": []}
    assert {float(str(cell)) for figure in two["dims"] for cell, *_ in figure.table.rows} == {8.0, 16.0}
    titles = " ".join(figure.title for figure in two["dims"]).lower()
    assert MEASURES["effective_rank"].name in titles
    assert MEASURES["tolerance"].name not in titles


def test_texts_are_cut_to_their_length() -> None:
    assert cut("a" * 20, 20) == "a" * 20
    assert len(cut("a" * 21, 20)) == 20

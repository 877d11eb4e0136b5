"""Amounts as horizontal bars from zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import linear_axis
from nearfar.reports._svg import COLOURS, Look, element
from nearfar.reports.charts._rows import Place, Rows, Value, rows_figure
from nearfar.reports.figure import Figure, area_swatch
from nearfar.reports.numbers import column, whole
from nearfar.reports.tables import thinned


def bar_chart(
    labels: Sequence[str],
    series: Mapping[str, Iterable[float]],
    *,
    title: str,
    x_label: str = "",
    caption: str = "",
) -> Figure:
    """Horizontal bars, so that there is room for long names; they always start at zero.

    Args:
        labels: One name per row.
        series: For each name one amount per row; several series are drawn below each other.
        title: What the figure shows.
        x_label: The measured quantity, with its unit.
        caption: How to read the figure.

    Raises:
        ValueError: There is no row or series, lengths differ, or a number is not finite.
    """
    where = f"bar_chart {title!r}"
    _check.some(labels, f"{where}: labels")
    amounts = _check.each(series, where, _check.finite, most=COLOURS)
    for name, row in amounts.items():
        _check.same_length(row, len(labels), f"{where}: series {name!r}")
    flat = [whole(amount) for row in amounts.values() for amount in row]
    texts = iter(column(flat))
    values = {name: [Value(next(texts)) for _ in row] for name, row in amounts.items()}

    def mark(place: Place, i: int, name: str, y: float, look: Look) -> list[Markup]:
        zero, end = place.px(0.0), place.px(amounts[name][i])
        bar = element("rect", x=min(zero, end), y=y - 7, width=abs(end - zero), height=14, class_="bar")
        hit = element("rect", x=place.left, y=y - 10, width=place.right - place.left, height=20, class_="hit")
        return [bar, hit]

    make_axis = partial(linear_axis, min(0.0, *flat), max(0.0, *flat))
    cells = [[label, *(whole(row[i]) for row in amounts.values())] for i, label in enumerate(labels)]
    return rows_figure(
        Rows(labels, values, make_axis, mark, x_label, reference=0.0),
        kind="Bar chart",
        title=title,
        table=thinned(["row", *amounts], cells),
        caption=caption,
        swatch=partial(area_swatch, css="bar"),
    )

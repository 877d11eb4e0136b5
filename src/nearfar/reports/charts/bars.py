"""Amounts as horizontal bars from zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import linear_axis
from nearfar.reports.numbers import column
from nearfar.reports._svg import COLOURS, Look, element, group
from nearfar.reports.text import plain
from nearfar.reports.charts._rows import Place, Value, draw_rows, names_fit
from nearfar.reports.figure import Figure, area_swatch, compose
from nearfar.reports.tables import thinned


def bar_chart(
    labels: Sequence[str],
    series: Mapping[str, Iterable[float]],
    *,
    title: str,
    x_label: str = "",
    caption: str = "",
) -> Figure:
    """Horizontal bars, so that long names can be read; they always start at zero.

    Args:
        labels: One name a row.
        series: For each name one amount a row; several series stand under each other.
        title: What the figure shows.
        x_label: What is measured, with its unit.
        caption: How to read the figure.

    Raises:
        ValueError: There is no row or series, lengths differ, or a number is not finite.
    """
    where = f"bar_chart {title!r}"
    _check.some(labels, f"{where}: labels")
    _check.some(series, f"{where}: series", most=COLOURS)
    amounts = {name: _check.finite(row, f"{where}: series {name!r}") for name, row in series.items()}
    for name, row in amounts.items():
        _check.same_length(row, len(labels), f"{where}: series {name!r}")
    flat = [amount for row in amounts.values() for amount in row]
    texts = iter(column([_exact(amount) for amount in flat]))
    by_series = {name: [next(texts) for _ in row] for name, row in amounts.items()}
    names = [plain(name) for name in amounts] if len(amounts) > 1 else [""]
    lines = list(zip(names, by_series.values(), strict=True))
    values = [[Value(texts[i], name=name) for name, texts in lines] for i in range(len(labels))]
    alt = f"Bar chart: {plain(title)}. " + " ".join(
        f"{plain(label)}: " + ", ".join(f"{plain(name)} {of[i]}" for name, of in by_series.items()) + "."
        for i, label in enumerate(labels)
    )

    def mark(place: Place, i: int, j: int, y: float) -> Markup:
        name, row = list(amounts.items())[j]
        zero, end = place.px(0.0), place.px(row[i])
        bar = element("rect", x=min(zero, end), y=y - 7, width=abs(end - zero), height=14, class_="bar")
        hit = element("rect", x=place.left, y=y - 10, width=place.right - place.left, height=20, class_="hit")
        tip = f"{plain(labels[i])}\n{plain(name)}\t{values[i][j].text}"
        return group([bar, hit], class_=Look(j).css, data_tip=tip)

    def draw(width: int) -> Markup:
        make_axis = partial(linear_axis, min(0.0, *flat), max(0.0, *flat))
        return draw_rows(width, labels, values, make_axis, mark, x_label=x_label, alt=alt, reference=0.0)

    rows = [[label, *(_exact(row[i]) for row in amounts.values())] for i, label in enumerate(labels)]
    legend = [(area_swatch(Look(i), "bar"), name) for i, name in enumerate(amounts)] if len(amounts) > 1 else ()
    return compose(
        draw,
        title=title,
        table=thinned(["row", *amounts], rows),
        caption=caption,
        legend=legend,
        named=lambda width: names_fit(names, width),
    )


def _exact(amount: float) -> float:
    return int(amount) if amount == int(amount) else amount

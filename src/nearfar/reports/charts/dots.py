"""Estimates with their intervals, one row a case and one dot a series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import linear_axis
from nearfar.reports.numbers import fixed
from nearfar.reports._svg import MAX_SERIES, Look, element, group
from nearfar.reports.text import plain
from nearfar.reports.charts._rows import Place, Value, draw_rows, names_fit
from nearfar.reports.figure import Figure, compose, marker_swatch
from nearfar.reports.tables import thinned


class Estimate(NamedTuple):
    """A value and, where known, the ends of its interval."""

    value: float
    low: float | None = None
    high: float | None = None


def dot_interval_chart(
    labels: Sequence[str],
    series: Mapping[str, Sequence[Estimate | tuple[float, float, float] | None]],
    *,
    title: str,
    x_label: str = "",
    caption: str = "",
    interval: str = "95% interval",
    reference: float | None = None,
) -> Figure:
    """Horizontal dots with whiskers: a metric before and after, or the differences of many methods.

    Args:
        labels: One name a row.
        series: For each name one estimate a row; None where there is none.
        title: What the figure shows.
        x_label: What is measured, with its unit.
        caption: How to read the figure.
        interval: What the whiskers are.
        reference: A value to mark with a line: 0 for differences, or a baseline.

    Raises:
        ValueError: There is no row or series, lengths differ, a number is not finite, or an
            interval lacks an end or has them swapped.
    """
    where = f"dot_interval_chart {title!r}"
    _check.some(labels, f"{where}: labels")
    _check.some(series, f"{where}: series", most=MAX_SERIES)
    rows = {name: _estimates(row, len(labels), f"{where}: series {name!r}") for name, row in series.items()}
    given = [estimate for row in rows.values() for estimate in row if estimate is not None]
    _check.some(given, f"{where}: estimates")
    numbers = [number for estimate in given for number in estimate if number is not None]
    if reference is not None:
        numbers += _check.finite([reference], f"{where}: reference")
    low, high = min(numbers), max(numbers)
    places = _places(low, high)
    names = [plain(name) for name in rows] if len(rows) > 1 else [""]
    lines = list(zip(names, rows.values(), strict=True))
    values = [[_value(row[i], places, name) for name, row in lines] for i in range(len(labels))]
    alt = f"Dot chart: {plain(title)}. " + " ".join(
        f"{plain(label)}: {_story(list(rows), values[i])}." for i, label in enumerate(labels)
    )

    def mark(place: Place, i: int, j: int, y: float) -> Markup:
        name, row = list(rows.items())[j]
        estimate, value = row[i], values[i][j]
        if estimate is None or value is None:
            return Markup()
        tip = f"{plain(labels[i])}\n{plain(name)}\t{value.text} {value.spread}".rstrip()
        return _dot(place, estimate, Look(j), y, tip)

    def draw(width: int) -> Markup:
        return draw_rows(
            width,
            labels,
            values,
            partial(linear_axis, low, high),
            mark,
            x_label=x_label,
            alt=alt,
            reference=reference,
        )

    spread = any(estimate.low is not None for estimate in given)
    columns = ["row", "series", "value"] + ([f"{interval}, low", f"{interval}, high"] if spread else [])
    cells = [
        [label, name, *(row[i] or (None, None, None))][: len(columns)]
        for i, label in enumerate(labels)
        for name, row in rows.items()
    ]
    return compose(
        draw,
        title=title,
        table=thinned(columns, cells),
        caption=caption,
        legend=[(marker_swatch(Look(i)), name) for i, name in enumerate(rows)] if len(rows) > 1 else (),
        named=lambda width: names_fit(names, width),
    )


def _estimates(
    row: Sequence[Estimate | tuple[float, float, float] | None], count: int, where: str
) -> list[Estimate | None]:
    _check.same_length(row, count, where)
    return [None if entry is None else _checked(Estimate(*entry), where) for entry in row]


def _checked(estimate: Estimate, where: str) -> Estimate:
    value, low, high = estimate
    if low is None and high is None:
        return Estimate(*_check.finite([value], where))
    if low is None or high is None:
        raise ValueError(f"{where}: an interval needs both its ends, not {low} and {high}")
    if low > high:
        raise ValueError(f"{where}: the interval {low:g} to {high:g} is upside down")
    return Estimate(*_check.finite([value, low, high], where))


def _places(low: float, high: float) -> int:
    """Decimals that resolve a hundredth of the axis."""
    span = high - low or abs(high) or 1.0
    return min(12, max(0, 2 - math.floor(math.log10(span))))


def _value(estimate: Estimate | None, places: int, name: str) -> Value | None:
    if estimate is None:
        return None
    if estimate.low is None or estimate.high is None:
        return Value(fixed(estimate.value, places), name=name)
    spread = f"[{fixed(estimate.low, places)}, {fixed(estimate.high, places)}]"
    return Value(fixed(estimate.value, places), spread, name)


def _story(names: Sequence[str], values: Sequence[Value | None]) -> str:
    return ", ".join(
        f"{plain(name)} {value.text} {value.spread}".rstrip()
        for name, value in zip(names, values, strict=True)
        if value is not None
    )


def _dot(place: Place, estimate: Estimate, look: Look, y: float, tip: str) -> Markup:
    parts = []
    ends = [place.px(estimate.value)]
    if estimate.low is not None and estimate.high is not None:
        low, high = place.px(estimate.low), place.px(estimate.high)
        ends += [low, high]
        parts.append(element("line", x1=low, x2=high, y1=y, y2=y, class_="whisker"))
        parts += [element("line", x1=x, x2=x, y1=y - 4, y2=y + 4, class_="whisker") for x in (low, high)]
    parts.append(look.marker(place.px(estimate.value), y, 5.0, class_="mark dot"))
    left, right = min(ends) - 10, max(ends) + 10
    parts.append(element("rect", x=left, y=y - 10, width=right - left, height=20, class_="hit"))
    return group(parts, class_=look.css, data_tip=tip)

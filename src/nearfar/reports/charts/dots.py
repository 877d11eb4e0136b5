"""Estimates with their intervals, one row per case and one dot per series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._axis import linear_axis
from nearfar.reports._svg import MAX_SERIES, Look, element
from nearfar.reports.charts._rows import Place, Rows, Value, rows_figure
from nearfar.reports.figure import Figure, marker_swatch
from nearfar.reports.numbers import fixed
from nearfar.reports.tables import thinned


class Estimate(NamedTuple):
    """A value and, if known, the two ends of its interval."""

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
        labels: One name per row.
        series: For each name one estimate per row; None for a missing one.
        title: What the figure shows.
        x_label: The measured quantity, with its unit.
        caption: How to read the figure.
        interval: What the whiskers are.
        reference: A value to mark with a line: 0 for differences, or a baseline.

    Raises:
        ValueError: There is no row or series, lengths differ, a number is not finite, or an
            interval has one end only or its ends in the wrong order.
    """
    where = f"dot_interval_chart {title!r}"
    _check.some(labels, f"{where}: labels")
    rows = _check.each(series, where, partial(_estimates, count=len(labels)), most=MAX_SERIES)
    given = [estimate for row in rows.values() for estimate in row if estimate is not None]
    _check.some(given, f"{where}: estimates")
    numbers = [number for estimate in given for number in estimate if number is not None]
    if reference is not None:
        numbers += _check.finite([reference], f"{where}: reference")
    low, high = min(numbers), max(numbers)
    places = _places(low, high)

    def mark(place: Place, i: int, name: str, y: float, look: Look) -> list[Markup]:
        estimate = rows[name][i]
        return [] if estimate is None else _dot(place, estimate, y, look)

    spread = any(estimate.low is not None for estimate in given)
    columns = ["row", "series", "value"] + ([f"{interval}, low", f"{interval}, high"] if spread else [])
    cells = [
        [label, name, *(row[i] or (None, None, None))][: len(columns)]
        for i, label in enumerate(labels)
        for name, row in rows.items()
    ]
    values = {name: [_value(estimate, places) for estimate in row] for name, row in rows.items()}
    return rows_figure(
        Rows(labels, values, partial(linear_axis, low, high), mark, x_label, reference),
        kind="Dot chart",
        title=title,
        table=thinned(columns, cells),
        caption=caption,
        swatch=marker_swatch,
    )


def _estimates(
    row: Sequence[Estimate | tuple[float, float, float] | None], where: str, *, count: int
) -> list[Estimate | None]:
    _check.same_length(row, count, where)
    return [None if entry is None else _checked(Estimate(*entry), where) for entry in row]


def _checked(estimate: Estimate, where: str) -> Estimate:
    value, low, high = estimate
    if low is None and high is None:
        return Estimate(*_check.finite([value], where))
    if low is None or high is None:
        raise ValueError(f"{where}: expected both ends of an interval, got {low} and {high}")
    if low > high:
        raise ValueError(f"{where}: invalid interval: {low:g} must not be greater than {high:g}")
    return Estimate(*_check.finite([value, low, high], where))


def _places(low: float, high: float) -> int:
    """Number of decimals that resolve a hundredth of the axis."""
    span = high - low or abs(high) or 1.0
    return min(12, max(0, 2 - math.floor(math.log10(span))))


def _value(estimate: Estimate | None, places: int) -> Value | None:
    if estimate is None:
        return None
    if estimate.low is None or estimate.high is None:
        return Value(fixed(estimate.value, places))
    return Value(fixed(estimate.value, places), f"[{fixed(estimate.low, places)}, {fixed(estimate.high, places)}]")


def _dot(place: Place, estimate: Estimate, y: float, look: Look) -> list[Markup]:
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
    return parts

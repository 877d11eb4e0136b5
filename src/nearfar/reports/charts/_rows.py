"""Charts with one labelled row per case: names at the left (above on a narrow page), marks, values at the right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nearfar.reports._axis import Axis
from nearfar.reports._frame import TICK_SIZE, fitting
from nearfar.reports._svg import Look, canvas, element, group
from nearfar.reports.figure import WIDE, Drawing, Figure, compose
from nearfar.reports.tables import Table
from nearfar.reports.text import plain, shorten, text_width, wrap

LABEL_SIZE = 13
"""Size of row labels in pixels; the style sheet sets the same."""
_LINE, _PADDING, _HEADING = 21, 14, 19
"""Heights in pixels: a line of marks, the space around the lines of a row, a label above them."""


@dataclass(frozen=True)
class Value:
    """The text at the right of a line: the value, and on a wide page its interval."""

    text: str
    spread: str = ""


@dataclass(frozen=True)
class Place:
    """The plot area of a chart of rows, in pixels."""

    left: float
    right: float
    top: float
    bottom: float
    axis: Axis

    def px(self, value: float) -> float:
        """The pixel column of a value."""
        return self.left + self.axis.fraction(value) * (self.right - self.left)


Mark = Callable[[Place, int, str, float, Look], list[Markup]]
"""Draws one line of one row: (plot area, row, series, pixel row, look of the series) -> elements."""


@dataclass(frozen=True)
class Rows:
    """What a chart of rows shows.

    Args:
        labels: One name per row.
        values: For each series one entry per row; None leaves the line empty.
        make_axis: The horizontal axis, given the number of parts to divide it into.
        mark: Draws a line.
        x_label: Name of the axis, or "".
        reference: A value to mark with a vertical line.
    """

    labels: Sequence[str]
    values: Mapping[str, Sequence[Value | None]]
    make_axis: Callable[[int], Axis]
    mark: Mark
    x_label: str = ""
    reference: float | None = None


def rows_figure(
    rows: Rows, *, kind: str, title: str, table: Table, caption: str, swatch: Callable[[Look], Markup]
) -> Figure:
    """The figure of a chart of rows; ``kind`` begins the alternative text, ``swatch`` draws samples for the legend."""
    stories = (f"{plain(label)}: {_story(rows.values, i)}." for i, label in enumerate(rows.labels))
    alt = f"{kind}: {plain(title)}. " + " ".join(stories)
    legend = [(swatch(Look(i)), name) for i, name in enumerate(rows.values)]
    return compose(
        lambda width: _draw(rows, width, alt),
        title=title,
        table=table,
        caption=caption,
        legend=legend if len(legend) > 1 else (),
    )


def _story(values: Mapping[str, Sequence[Value | None]], row: int) -> str:
    shown = ((name, of[row]) for name, of in values.items())
    return ", ".join(f"{plain(name)} {value.text} {value.spread}".rstrip() for name, value in shown if value)


def _draw(rows: Rows, width: int, alt: str) -> Drawing:
    wide = width >= WIDE
    labels = [plain(label) for label in rows.labels]
    names = {name: plain(name) if len(rows.values) > 1 else "" for name in rows.values}
    gutter = min(max(text_width(label, LABEL_SIZE) for label in labels) + 20, 0.3 * width) if wide else 8.0
    named = _names_fit(list(names.values()), width)
    series, text, spread = _value_widths(rows.values, list(names.values()) if named else [], wide=wide)
    right = width - series - text - spread - 16
    axis = fitting(rows.make_axis, right - gutter, most=7 if wide else 5)
    if axis.ticks:
        gutter = max(gutter, text_width(axis.ticks[0][1], TICK_SIZE) / 2)
    heading = 0 if wide else _HEADING
    height = max(len(names) * _LINE, 30 if wide else 0) + _PADDING + heading
    place = Place(gutter, right, 4.0, 4.0 + height * len(labels), axis)
    parts = [_grid(place, width, height, rows.reference)]
    for i, label in enumerate(labels):
        top = place.top + i * height
        middle = top + heading + (height - heading) / 2
        parts.append(_label(label, gutter, width, top, middle, wide=wide))
        for j, (name, of) in enumerate(rows.values.items()):
            value = of[i]
            if value is None:
                continue
            y, look = middle + (j - (len(names) - 1) / 2) * _LINE, Look(j)
            tip = f"{label}\n{plain(name)}\t{value.text} {value.spread}".rstrip()
            parts.append(group(rows.mark(place, i, name, y, look), class_=look.css, data_tip=tip))
            parts.append(_value(value, names[name], right + 14, series, text, y, wide=wide))
    parts.append(_axis_labels(place, width, rows.x_label))
    return Drawing(canvas(width, place.bottom + (46 if rows.x_label else 26), parts, alt=alt), named)


def _names_fit(names: Sequence[str], width: int) -> bool:
    """Whether an image of ``width`` pixels has room for the names of the series beside their values."""
    widest = max(text_width(name, TICK_SIZE) for name in names)
    return widest <= (0.16 if width >= WIDE else 0.2) * width


def _value_widths(
    values: Mapping[str, Sequence[Value | None]], names: Sequence[str], *, wide: bool
) -> tuple[float, float, float]:
    """Widths in pixels of the columns for names, values and intervals; 0 for a column that is not shown."""
    shown = [value for of in values.values() for value in of if value is not None]
    name = max((text_width(name, TICK_SIZE) for name in names), default=0.0)
    text = max((text_width(value.text, LABEL_SIZE) for value in shown), default=0.0)
    spread = max((text_width(value.spread, TICK_SIZE) for value in shown), default=0.0) if wide else 0.0
    return name + 8 if name else 0.0, text, spread + 10 if spread else 0.0


def _grid(place: Place, width: float, height: float, reference: float | None) -> Markup:
    ticks = [
        element("line", x1=place.px(value), x2=place.px(value), y1=place.top, y2=place.bottom)
        for value, _ in place.axis.ticks
    ]
    count = round((place.bottom - place.top) / height)
    rules = [
        element("line", x1=0, x2=width, y1=place.top + i * height, y2=place.top + i * height, class_="rule")
        for i in range(1, count)
    ]
    base = element("line", x1=place.left, x2=place.right, y1=place.bottom, y2=place.bottom, class_="base")
    parts = [*ticks, *rules, base]
    if reference is not None:
        x = place.px(reference)
        parts.append(element("line", x1=x, x2=x, y1=place.top, y2=place.bottom, class_="reference"))
    return group(parts, class_="grid")


def _label(name: str, gutter: float, width: float, top: float, middle: float, *, wide: bool) -> Markup:
    if not wide:
        return element("text", shorten(name, width - 4, LABEL_SIZE), x=0, y=top + 18, class_="label")
    lines = wrap(name, gutter - 16, LABEL_SIZE, 2)
    start = middle + 4.5 - (len(lines) - 1) * 8
    return group(element("text", line, x=0, y=start + 16 * i, class_="label") for i, line in enumerate(lines))


def _value(value: Value, name: str, start: float, series: float, text: float, y: float, *, wide: bool) -> Markup:
    end = start + series + text
    parts = [element("text", value.text, x=end, y=y + 4.5, text_anchor="end", class_="value")]
    if series and name:
        parts.append(element("text", name, x=start, y=y + 4.5, class_="spread"))
    if wide and value.spread:
        parts.append(element("text", value.spread, x=end + 10, y=y + 4.5, class_="spread"))
    return group(parts)


def _axis_labels(place: Place, width: float, x_label: str) -> Markup:
    texts = [
        element("text", label, x=place.px(value), y=place.bottom + 18, text_anchor="middle")
        for value, label in place.axis.ticks
    ]
    if x_label:
        name = shorten(plain(x_label), width - 4, TICK_SIZE)
        fits = text_width(name, TICK_SIZE) <= place.right
        x, anchor = (place.right, "end") if fits else (0, None)
        texts.append(element("text", name, x=x, y=place.bottom + 38, text_anchor=anchor, class_="name"))
    return group(texts, class_="ticks")

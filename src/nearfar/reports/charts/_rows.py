"""Charts with one labelled row a case: names at the left (above on a narrow page), marks, values at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nearfar.reports._axis import Axis
from nearfar.reports._frame import TICK_SIZE, fitting
from nearfar.reports._svg import canvas, element, group
from nearfar.reports.text import plain, shorten, text_width, wrap
from nearfar.reports.figure import WIDE

LABEL_SIZE = 13
"""Size of row labels in pixels; the style sheet sets the same."""
_LINE, _PADDING, _HEADING = 21, 14, 19
"""Heights in pixels: a line of marks, the space around a row's lines, a label that stands above them."""


@dataclass(frozen=True)
class Value:
    """The text at the right of a line: the series where there are several, the figure, on a wide page its spread."""

    text: str
    spread: str = ""
    name: str = ""


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


def draw_rows(
    width: int,
    labels: Sequence[str],
    values: Sequence[Sequence[Value | None]],
    make_axis: Callable[[int], Axis],
    mark: Callable[[Place, int, int, float], Markup],
    *,
    x_label: str,
    alt: str,
    reference: float | None = None,
) -> Markup:
    """Lay out rows of lines and let ``mark`` draw each line.

    Args:
        width: Width of the picture in pixels.
        labels: One name a row.
        values: For each row one entry a line; None leaves the line empty.
        make_axis: The horizontal axis, given the number of parts to cut it into.
        mark: Draws line ``j`` of row ``i`` around the pixel row ``y``, called with (place, i, j, y).
        x_label: Name of the axis, or "".
        alt: What the picture shows.
        reference: A value to mark with a vertical line.
    """
    wide = width >= WIDE
    lines = len(values[0])
    names = [plain(label) for label in labels]
    gutter = min(max(text_width(name, LABEL_SIZE) for name in names) + 20, 0.3 * width) if wide else 8.0
    named = names_fit([value.name for row in values for value in row if value is not None], width)
    series, text, spread = _value_widths(values, wide=wide, named=named)
    right = width - series - text - spread - 16
    axis = fitting(make_axis, right - gutter, most=7 if wide else 5)
    if axis.ticks:
        gutter = max(gutter, text_width(axis.ticks[0][1], TICK_SIZE) / 2)
    heading = 0 if wide else _HEADING
    height = max(lines * _LINE, 30 if wide else 0) + _PADDING + heading
    place = Place(gutter, right, 4.0, 4.0 + height * len(names), axis)
    parts = [_grid(place, width, height, reference)]
    for i, name in enumerate(names):
        top = place.top + i * height
        middle = top + heading + (height - heading) / 2
        parts.append(_label(name, gutter, width, top, middle, wide=wide))
        for j, value in enumerate(values[i]):
            if value is not None:
                y = middle + (j - (lines - 1) / 2) * _LINE
                parts += [mark(place, i, j, y), _value(value, right + 14, series, text, y, wide=wide)]
    parts.append(_axis_labels(place, width, x_label))
    return canvas(width, place.bottom + (46 if x_label else 26), parts, alt=alt)


def names_fit(names: Sequence[str], width: int) -> bool:
    """Whether a picture of ``width`` pixels has room for the series' names beside their values."""
    widest = max((text_width(name, TICK_SIZE) for name in names), default=0.0)
    return 0 < widest <= (0.16 if width >= WIDE else 0.2) * width


def _value_widths(values: Sequence[Sequence[Value | None]], *, wide: bool, named: bool) -> tuple[float, float, float]:
    shown = [value for row in values for value in row if value is not None]
    name = max((text_width(value.name, TICK_SIZE) for value in shown), default=0.0) if named else 0.0
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


def _value(value: Value, start: float, name: float, text: float, y: float, *, wide: bool) -> Markup:
    end = start + name + text
    parts = [element("text", value.text, x=end, y=y + 4.5, text_anchor="end", class_="value")]
    if name and value.name:
        parts.append(element("text", value.name, x=start, y=y + 4.5, class_="spread"))
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

"""The frame of a chart with two numeric axes: margins, grid, tick labels, and columns that react to the pointer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nearfar.reports._axis import Axis
from nearfar.reports._svg import canvas, element, group
from nearfar.reports.figure import WIDE
from nearfar.reports.text import plain, shorten, text_width

TICK_SIZE = 12
"""Size of tick labels in pixels; the style sheet sets the same."""
_GAP = 14
"""Minimum distance in pixels between neighbouring tick labels."""


@dataclass(frozen=True)
class Frame:
    """The plot area of an image, in pixels, and the axes that map data to it."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x: Axis
    y: Axis

    def px(self, value: float) -> float:
        """The pixel column of a value."""
        return self.left + self.x.fraction(value) * (self.right - self.left)

    def py(self, value: float) -> float:
        """The pixel row of a value."""
        return self.bottom - self.y.fraction(value) * (self.bottom - self.top)

    def image(self, content: Iterable[Markup], *, x_label: str, y_label: str, alt: str) -> Markup:
        """The finished image: grid below, ``content`` above it, labels around."""
        return canvas(self.width, self.height, [self._grid(), *content, self._labels(x_label, y_label)], alt=alt)

    def _grid(self) -> Markup:
        lines = [
            element("line", x1=self.left, x2=self.right, y1=self.py(value), y2=self.py(value))
            for value, _ in self.y.ticks
        ]
        base = element("line", x1=self.left, x2=self.right, y1=self.bottom, y2=self.bottom, class_="base")
        marks = [
            element("line", x1=self.px(value), x2=self.px(value), y1=self.bottom, y2=self.bottom + 5, class_="base")
            for value, _ in self.x.ticks
        ]
        return group([*lines, base, *marks], class_="grid")

    def _labels(self, x_label: str, y_label: str) -> Markup:
        texts = [
            element("text", label, x=self.left - 8, y=self.py(value) + 4, text_anchor="end")
            for value, label in self.y.ticks
        ]
        texts += [
            element("text", label, x=self.px(value), y=self.bottom + 20, text_anchor="middle")
            for value, label in self.x.ticks
        ]
        room = self.width - 4
        if y_label:
            name = shorten(plain(y_label), room, TICK_SIZE)
            texts.append(element("text", name, x=0, y=12, class_="name"))
        if x_label:
            name = shorten(plain(x_label), room, TICK_SIZE)
            texts.append(element("text", name, x=self.right, y=self.bottom + 40, text_anchor="end", class_="name"))
        return group(texts, class_="ticks")


def frame(
    width: int,
    make_x: Callable[[int], Axis],
    make_y: Callable[[int], Axis],
    *,
    x_label: str,
    y_label: str,
    beside: float = 0.0,
) -> Frame:
    """A frame of ``width`` pixels; its axes have as many ticks as there is room for their labels.

    Args:
        width: Width of the whole image in pixels.
        make_x: The horizontal axis, given the number of parts to divide it into.
        make_y: The same for the vertical axis.
        x_label: Name of the horizontal axis, or "".
        y_label: Name of the vertical axis, or "".
        beside: Free pixels at the right of the plot, for names.
    """
    wide = width >= WIDE
    top = 26 if y_label else 8
    plot = 270 if wide else 220
    y = make_y(5 if wide else 4)
    left = max(text_width(label, TICK_SIZE) for _, label in y.ticks) + 12
    end = width - beside
    span = end - left - 14
    x = fitting(make_x, span, most=10 if wide else 6)
    overhang = [(x.fraction(value) * span, text_width(label, TICK_SIZE) / 2 + 2) for value, label in x.ticks]
    left = max([left, *(half - centre for centre, half in overhang)])
    right = end - max([14.0, *(centre + half - span for centre, half in overhang)])
    below = 50 if x_label else 30
    return Frame(width, top + plot + below, left, right, top, top + plot, x, y)


def fitting(make: Callable[[int], Axis], span: float, *, most: int) -> Axis:
    """The axis with the most parts whose labels fit into ``span`` pixels; if none fits, only its outer labels."""
    axis = make(1)
    for count in range(most, 0, -1):
        axis = make(count)
        if _apart(axis, span):
            return axis
    ends = (axis.ticks[0], axis.ticks[-1])
    pair = Axis(axis.low, axis.high, ends, axis.log)
    return pair if _apart(pair, span) else Axis(axis.low, axis.high, ends[:1], axis.log)


def pointer_columns(
    place: Frame, centres: Sequence[float], tips: Sequence[str], marks: Sequence[Markup] | None = None
) -> Markup:
    """Invisible columns around ``centres`` (pixels, ascending) that show a tip and a line under the pointer."""
    edges = [place.left, *((a + b) / 2 for a, b in itertools.pairwise(centres)), place.right]
    columns = []
    for i, (centre, tip) in enumerate(zip(centres, tips, strict=True)):
        hit = element(
            "rect", x=edges[i], y=place.top, width=max(edges[i + 1] - edges[i], 0.0), height=place.bottom - place.top
        )
        hair = element("line", x1=centre, x2=centre, y1=place.top, y2=place.bottom)
        columns.append(element("g", hit, hair, marks[i] if marks else "", data_tip=tip))
    return group(columns, class_="hits")


def _apart(axis: Axis, span: float) -> bool:
    ends = []
    for value, label in axis.ticks:
        centre, half = axis.fraction(value) * span, text_width(label, TICK_SIZE) / 2
        ends.append((centre - half, centre + half))
    return all(a[1] + _GAP <= b[0] for a, b in itertools.pairwise(ends))

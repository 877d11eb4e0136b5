"""SVG elements as escaped text, and the look of a series: colour class, dash, marker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from nearfar.reports.text import escaped

COLOURS = 6
_DASHES = (None, "6 4", "2 3", "9 3 2 3")
_MARKERS = ("circle", "square", "diamond", "triangle")
MAX_SERIES = COLOURS * len(_DASHES)


def element(name: str, *children: object, **attributes: object) -> Markup:
    """``<name attributes>children</name>``; everything that is not Markup is escaped.

    ``class_`` becomes ``class``, other underscores become hyphens. An attribute of None is omitted, floats are rounded
    to hundredths.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{name}{written}/>")
    inner = "".join(child if isinstance(child, Markup) else escaped(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")


def group(children: Iterable[Markup], **attributes: object) -> Markup:
    """A ``<g>`` around ``children``; empty if there are none."""
    inner = Markup("").join(children)
    return element("g", inner, **attributes) if inner else inner


def canvas(width: float, height: float, children: Iterable[Markup], *, alt: str) -> Markup:
    """An image of ``width`` × ``height`` pixels that scales with its box; ``alt`` describes it."""
    inner = Markup("").join(children)
    return element("svg", inner, viewBox=f"0 0 {_number(width)} {_number(height)}", role="img", aria_label=alt)


def path(points: Iterable[tuple[float, float]], **attributes: object) -> Markup:
    """A line through ``points``."""
    commands = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return element("path", d=f"M{commands}", **attributes)


@dataclass(frozen=True)
class Look:
    """The look of series number ``index``: 6 colours, then the same colours with other dashes and markers."""

    index: int

    @cached_property
    def css(self) -> str:
        """The class that sets the colour."""
        return f"c{self.index % COLOURS}"

    @cached_property
    def dash(self) -> str | None:
        """The dash pattern of its line."""
        return _DASHES[self.index // COLOURS]

    def marker(self, x: float, y: float, radius: float, **attributes: object) -> Markup:
        """Its marker around (x, y), of about the same area for each shape."""
        shape = _MARKERS[self.index % len(_MARKERS)]
        if shape == "circle":
            return element("circle", cx=x, cy=y, r=radius, **attributes)
        if shape == "square":
            side = radius * 0.9
            return element("rect", x=x - side, y=y - side, width=2 * side, height=2 * side, **attributes)
        if shape == "diamond":
            r = radius * 1.25
            corners = [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
        else:
            r = radius * 1.2
            corners = [(x, y - r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r)]
        points = " ".join(f"{_number(px)},{_number(py)}" for px, py in corners)
        return element("polygon", points=points, **attributes)


def _attribute(value: object) -> str:
    return _number(value) if isinstance(value, float) else str(escaped(value))


def _number(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text

"""A figure: one picture drawn for two widths, what it says in words, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nearfar.reports._svg import Look, element, path
from nearfar.reports.tables import Table

WIDE, NARROW = 760, 358
"""Widths in pixels that a figure is laid out for: a desktop's column and a telephone's. Text keeps its size in both."""


@dataclass(frozen=True)
class Figure:
    """What ``Page.figure`` takes.

    Args:
        title: What the figure shows.
        wide: The picture for a column of ``WIDE`` pixels.
        narrow: The same for ``NARROW`` pixels.
        table: The numbers behind it.
        caption: How to read it.
        legend: For each series a swatch and its name.
        wide_legend: Whether the wide picture needs the legend; one that names its series itself does not.

    Raises:
        TypeError: A picture is not Markup. Text that comes from data never becomes Markup by accident.
    """

    title: str
    wide: Markup
    narrow: Markup
    table: Table
    caption: str = ""
    legend: Sequence[tuple[Markup, str]] = ()
    wide_legend: bool = True

    def __post_init__(self) -> None:
        for markup in (self.wide, self.narrow, *(swatch for swatch, _ in self.legend)):
            if not isinstance(markup, Markup):
                raise TypeError(f"a figure's picture is markupsafe.Markup, not {type(markup).__name__}")


def compose(
    draw: Callable[[int], Markup],
    *,
    title: str,
    table: Table,
    caption: str = "",
    legend: Sequence[tuple[Markup, str]] = (),
    named: Callable[[int], bool] = lambda width: False,
) -> Figure:
    """A figure from ``draw``, which lays the picture out for a width in pixels.

    Args:
        draw: The picture.
        title: What it shows.
        table: The numbers behind it.
        caption: How to read it.
        legend: For each series a swatch and its name.
        named: Whether the picture of a width names its series beside their marks, so that it needs no legend.
    """
    needed = [width for width in (WIDE, NARROW) if not named(width)]
    return Figure(title, draw(WIDE), draw(NARROW), table, caption, legend if needed else (), WIDE in needed)


def line_swatch(look: Look, *, marker: bool) -> Markup:
    """A legend's sample of a line."""
    line = path([(0, 7), (26, 7)], class_="line", stroke_dasharray=look.dash)
    return _swatch(look, line + look.marker(13.0, 7.0, 3.5, class_="mark") if marker else line, 26)


def marker_swatch(look: Look) -> Markup:
    """A legend's sample of a marker."""
    return _swatch(look, look.marker(7.0, 7.0, 4.5, class_="mark"), 14)


def area_swatch(look: Look, css: str, opacity: str | None = None) -> Markup:
    """A legend's sample of a filled area."""
    return _swatch(look, element("rect", x=1, y=1, width=12, height=12, class_=css, fill_opacity=opacity), 14)


def _swatch(look: Look, content: Markup, width: int) -> Markup:
    return element(
        "svg",
        content,
        class_=f"swatch {look.css}",
        width=width,
        height=14,
        viewBox=f"0 0 {width} 14",
        aria_hidden="true",
    )

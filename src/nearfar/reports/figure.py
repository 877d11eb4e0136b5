"""A figure: one image drawn for two widths, its title and caption, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from nearfar.reports._svg import Look, element, path
from nearfar.reports.tables import Table

WIDE, NARROW = 760, 358
"""Widths in pixels of a figure: for the text column on a desktop, and for a phone. Text has the same size in both."""


@dataclass(frozen=True)
class Figure:
    """The argument of ``Page.figure``.

    Args:
        title: What the figure shows.
        wide: The image for ``WIDE`` pixels.
        narrow: The same for ``NARROW`` pixels.
        table: The numbers behind it.
        caption: How to read it.
        legend: A swatch and a name for each series.
        wide_legend: Whether the legend is shown with the wide image too, not only with the narrow one.

    Raises:
        TypeError: An image is not Markup. Text that comes from data never becomes Markup by accident.
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
                raise TypeError(f"expected an image as markupsafe.Markup, got {type(markup).__name__}")


class Drawing(NamedTuple):
    """An image for one width.

    Args:
        image: The SVG.
        named: Whether the image names its series beside their marks, so that it needs no legend.
    """

    image: Markup
    named: bool = False


def compose(
    draw: Callable[[int], Drawing],
    *,
    title: str,
    table: Table,
    caption: str = "",
    legend: Sequence[tuple[Markup, str]] = (),
) -> Figure:
    """A figure from ``draw``, which is called once for each width in pixels.

    Args:
        draw: Lays out and draws the image.
        title: What the figure shows.
        table: The numbers behind it.
        caption: How to read it.
        legend: A swatch and a name for each series; shown with each image that does not name its series itself.
    """
    wide, narrow = draw(WIDE), draw(NARROW)
    needed = not (wide.named and narrow.named)
    return Figure(title, wide.image, narrow.image, table, caption, legend if needed else (), not wide.named)


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

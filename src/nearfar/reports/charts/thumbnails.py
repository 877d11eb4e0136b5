"""Rows of small images, in two groups each."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from nearfar.reports import _check
from nearfar.reports._svg import canvas, element
from nearfar.reports.figure import WIDE, Drawing, Figure, compose
from nearfar.reports.tables import Table

#: Width and height of an image, and the space between images and between groups, in pixels.
SIZE, SPACE, APART = 52.0, 4.0, 24.0
#: Height of a row's name.
NAME = 20.0


class Thumbnail(NamedTuple):
    """A small image.

    Args:
        png: The file's bytes.
        name: What it shows, for its tooltip and the table.
    """

    png: bytes
    name: str


def thumbnails(
    names: Sequence[str],
    groups: Sequence[tuple[Sequence[Thumbnail], Sequence[Thumbnail]]],
    *,
    title: str,
    heads: tuple[str, str],
    caption: str = "",
) -> Figure:
    """Two groups of images for each name: beside each other, or below each other on a phone.

    Args:
        names: One name per row.
        groups: For each name the two groups.
        title: What the figure shows.
        heads: Names of the two groups, for the table.
        caption: How to read the figure.

    Raises:
        ValueError: There is no row, or lengths differ.
    """
    _check.some(names, f"thumbnails {title!r}: names")
    _check.same_length(groups, len(names), f"thumbnails {title!r}: groups")

    def draw(width: int) -> Drawing:
        parts, y = [], 0.0
        for name, pair in zip(names, groups, strict=True):
            parts.append(element("text", name, x=0, y=y + 14, class_="label"))
            y += NAME
            x = 0.0
            for number, images in enumerate(pair):
                if number and width < WIDE:
                    x, y = 0.0, y + SIZE + SPACE
                for each in images:
                    parts.append(_image(each, x, y))
                    x += SIZE + SPACE
                x += APART
            y += SIZE + 2 * SPACE
        return Drawing(canvas(width, y, parts, alt=f"Images: {title}"), named=True)

    rows = [
        [name, *("\n".join(each.name for each in images) for images in pair)]
        for name, pair in zip(names, groups, strict=True)
    ]
    return compose(draw, title=title, table=Table(["row", *heads], rows), caption=caption)


def _image(image: Thumbnail, x: float, y: float) -> Markup:
    href = f"data:image/png;base64,{base64.b64encode(image.png).decode()}"
    return element("image", element("title", image.name), x=x, y=y, width=SIZE, height=SIZE, href=href)

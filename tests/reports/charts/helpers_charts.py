"""What tests of charts look at in a figure."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from nearfar.reports import Figure

NAN, INF = float("nan"), float("inf")


def elements(image: str, name: str, css: str | None = None) -> list[ET.Element]:
    """The elements of an image with a name and, if given, a class. Line breaks in attributes become spaces."""
    found = ET.fromstring(image).iter(name)
    return [element for element in found if css is None or element.get("class") == css]


def texts(figure: Figure, css: str | None = None) -> list[str]:
    """The texts of the wide image."""
    return ["".join(text.itertext()) for text in elements(figure.wide, "text", css)]


def names(figure: Figure) -> list[str]:
    """The names in the legend."""
    return [name for _, name in figure.legend]

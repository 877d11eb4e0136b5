"""The parts of a page that compare two views of one model."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.data.media import Reader
from nearfar.inspection.page_figures import TIP, cut
from nearfar.reports.charts.thumbnails import Thumbnail, thumbnails

if TYPE_CHECKING:
    from nearfar.inspection.records import Item
    from nearfar.inspection.views import ComparedViews, Direction
    from nearfar.reports.page import Page
    from nearfar.reports.tables import Cell

#: Pixels of the longer side of a thumbnail: sixty of them, in two drawings, must fit into a page of 5 MB.
PIXELS = 64
#: Characters of a text in a table.
CUT = 110


def add_views(page: Page, found: ComparedViews, first: str, second: str) -> None:
    """Two sections: what the views have in common, and the items that show the directions of the first one."""
    page.section("What the views share", f"Measured on {found.items:,} items.")
    if found.leakage is None:
        page.text("There are too few items for an estimate.")
    else:
        page.table(["measure", "value", "meaning"], leakage_rows(found, first, second))
    page.section(
        f"What {first} shows",
        f"The directions in which the vectors of {first} differ most, and the items at both ends of each. If both ends "
        "of a direction look alike, it may be noise.",
    )
    if not found.directions:
        page.text("All vectors are equal.")
    elif found.medium == "image":
        page.figure(
            thumbnails(
                [_name(number, each) for number, each in enumerate(found.directions, 1)],
                [_images(each) for each in found.directions],
                title=f"Items at the ends of the directions of {first}",
                heads=("one end", "other end"),
                caption="The outermost item is the first of each group.",
            )
        )
    else:
        page.table(["direction", "one end", "other end"], _texts(found.directions))


def leakage_rows(found: ComparedViews, first: str, second: str) -> list[list[Cell]]:
    """Name, value and meaning of what the views have in common."""
    leakage = found.leakage
    if leakage is None:
        return []
    return [
        ["leakage (nats)", leakage.nats, f"what {first} and {second} both know of an item; 0: nothing"],
        ["leakage of shuffled items", leakage.shuffled, "the same for unrelated vectors: what is due to chance"],
        ["most possible", leakage.most, "the smaller of the two entropies"],
        ["explained variance", leakage.explained, f"share of {second} that a linear model of {first} predicts"],
    ]


def _name(number: int, direction: Direction) -> str:
    return f"direction {number}: {direction.share:.0%} of the variance"


def _texts(directions: Sequence[Direction]) -> list[list[Cell]]:
    return [
        [_name(number, each) if not place else "", _described(high), _described(low)]
        for number, each in enumerate(directions, 1)
        for place, (high, low) in enumerate(zip(each.high, each.low, strict=True))
    ]


def _described(item: Item) -> str:
    label = "" if item.label is None else f"  [{cut(item.label, TIP)}]"
    return f"{item.name}: {cut(item.text, CUT)}{label}"


def _images(direction: Direction) -> tuple[list[Thumbnail], list[Thumbnail]]:
    items = [*direction.high, *direction.low]
    made = [Thumbnail(_png(file), _described(item)) for item, file in zip(items, direction.files, strict=True)]
    return made[: len(direction.high)], made[len(direction.high) :]


def _png(file: Any) -> bytes:
    image = Reader("image").read(file)
    image.thumbnail((PIXELS, PIXELS))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()

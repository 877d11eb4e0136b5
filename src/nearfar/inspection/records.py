"""Rows and items that an inspection names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from nearfar.data.places import place_name
from nearfar.inspection.evidence import Support

#: Maximum number of characters of a text that are kept.
SHOWN = 200

#: From the kind of an item and its origin (a row, from 0, or an id) to its place.
PlaceOf = Callable[[str, "int | str"], dict[str, Any]]
Record = TypeVar("Record", bound=tuple)


class Item(NamedTuple):
    """An item of a sample.

    Args:
        kind: The name of its side.
        origin: The row in which it appears first, from 0, or its id.
        text: Its text, or its file's name; truncated where it is long.
        label: Its label, where it has one.
        place: `{"file", "line"}`, `{"file", "row"}`, or `{"kind", "id"}`; None before `with_places`.
    """

    kind: str
    origin: int | str
    text: str
    label: str | None = None
    place: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Its place in words."""
        return place_name(self.place or {"kind": self.kind, "id": self.origin})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**(self.place or {}), "text": self.text, **({} if self.label is None else {"label": self.label})}


class FalseNegative(NamedTuple):
    """A candidate for a false negative: a non-matching item that is more similar to an item than its positive.

    Args:
        item: The item.
        positive: The most similar of its positives.
        positive_cosine: The cosine of item and positive.
        negative: The most similar non-matching item.
        negative_cosine: The cosine of item and negative.
        above: Number of non-matching items that are more similar than the positive.
        support: What says that the negative does match, besides this model; empty if it is one model's opinion.
    """

    item: Item
    positive: Item
    positive_cosine: float
    negative: Item
    negative_cosine: float
    above: int
    support: tuple[Support, ...] = ()

    @property
    def why(self) -> str:
        """The support in words."""
        named = ["both models" if each == "models" else each for each in self.support]
        return f"supported by {' and '.join(named)}" if named else "one model's opinion"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "row": self.item.as_dict(),
            "positive": self.positive.as_dict(),
            "positive_cosine": self.positive_cosine,
            "negative": self.negative.as_dict(),
            "negative_cosine": self.negative_cosine,
            "negatives_above": self.above,
            "likely": bool(self.support),
            "support": list(self.support),
        }


class Confused(NamedTuple):
    """A row that is closer to a row of another label than to any of its own.

    Args:
        item: The row.
        own_cosine: Its cosine with the most similar row of its own label.
        other: The most similar row of another label.
        cosine: The cosine of the two.
    """

    item: Item
    own_cosine: float
    other: Item
    cosine: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "row": self.item.as_dict(),
            "own_cosine": self.own_cosine,
            "other": self.other.as_dict(),
            "cosine": self.cosine,
        }


class Confusion(NamedTuple):
    """Two labels of which rows of one are closest to rows of the other, in either direction.

    Args:
        labels: The two.
        rows: How many rows of both.
        of: How many rows the two labels have together.
        examples: Some of them, the most similar first.
    """

    labels: tuple[str, str]
    rows: int
    of: int
    examples: tuple[Confused, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        examples = [each.as_dict() for each in self.examples]
        return {"labels": list(self.labels), "rows": self.rows, "of": self.of, "examples": examples}


class NearDuplicate(NamedTuple):
    """Two different items whose vectors are nearly equal."""

    first: Item
    second: Item
    cosine: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"first": self.first.as_dict(), "second": self.second.as_dict(), "cosine": self.cosine}


class Hub(NamedTuple):
    """An item that is among the nearest neighbours of many."""

    item: Item
    occurrence: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.item.as_dict(), "occurrence": self.occurrence}


class Repeat(NamedTuple):
    """A row with the same texts as an earlier row: the places of both, and whether label or score differ."""

    row: dict[str, Any]
    earlier: dict[str, Any]
    contradicts: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"row": self.row, "earlier": self.earlier, "contradicts": self.contradicts}


class Point(NamedTuple):
    """An item on the map."""

    x: float
    y: float
    text: str
    group: str
    side: str


def shown(text: str) -> str:
    """A text on one line, truncated to `SHOWN` characters."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def with_places(record: Record, place_of: PlaceOf) -> Record:
    """The same record, with the place of each of its items."""
    named = {
        name: item._replace(place=place_of(item.kind, item.origin))
        for name, item in record._asdict().items()  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(item, Item)
    }
    return record._replace(**named)  # pyright: ignore[reportAttributeAccessIssue]

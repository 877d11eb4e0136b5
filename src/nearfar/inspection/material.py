"""What is looked at: the items that are encoded, which of them belong together, and which do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

Medium = Literal["text", "image", "audio"]
Kind = Literal["query", "document"]

#: Strangers that are drawn for each anchor.
STRANGERS = 5
# Draws after which an anchor without enough strangers is left with fewer.
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Side:
    """The different items of one column, or of one side of pairs.

    Args:
        name: What to call it.
        items: What a model reads: texts, or files.
        origins: Where each stands first: the row, counted from 0, or an id.
        medium: What they are.
        kind: Whether they ask or answer, for models that read these differently.
    """

    name: str
    items: Sequence[Any]
    origins: Sequence[int | str]
    medium: Medium = "text"
    kind: Kind | None = None

    def __len__(self) -> int:
        return len(self.items)

    def text(self, item: int) -> str:
        """What to show of an item: the text, or the file's name."""
        value = self.items[item]
        path = value.get("path") if isinstance(value, dict) else value
        return str(path if path else f"{self.medium} {self.origins[item]}")


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that is known before a model is asked; drawn once, so that two models answer for the same.

    Args:
        schema: What the data is.
        total: Rows, or queries, that there are.
        looked_at: How many of them are looked at.
        sides: One, or two of which items of the first belong to items of the second.
        paired: Items (of the first side, of the last) that belong together.
        barred: Further such couples of which nothing may be concluded: the same text, or a score that is not high.
        labels: A number for each item of the only side, or of the first of two; None without labels.
        groups: A name for each item of each side, to colour it by; None where the side's name is all there is.
        anchors: Items of the first side of which similarities are taken.
        partners: For each the item of the last side that belongs to it; None where nothing does.
        strangers: For each some of the last side that do not; -1 where none was found.
        similar: Extra couples by what they are called, such as given negatives.
        scored: Couples with people's scores: (first, second, score).
        notes: What a reader of the figures must know.
    """

    schema: str
    total: int
    looked_at: int
    sides: tuple[Side, ...]
    paired: Int[np.ndarray, "p 2"]
    barred: Int[np.ndarray, "q 2"]
    labels: Int[np.ndarray, " n"] | None
    groups: tuple[list[str], ...] | None
    anchors: Int[np.ndarray, " a"]
    partners: Int[np.ndarray, " a"] | None
    strangers: Int[np.ndarray, "a s"]
    similar: dict[str, Int[np.ndarray, "c 2"]]
    scored: tuple[Int[np.ndarray, "c 2"], Float[np.ndarray, " c"]] | None
    notes: tuple[str, ...] = ()


def numbered(values: Sequence[Any]) -> tuple[list[int], list[int]]:
    """For each value the number of its kind, in order of appearance, and for each kind where it stands first."""
    known: dict[Any, int] = {}
    first: list[int] = []
    ids = []
    for place, value in enumerate(values):
        # What the hub holds of a file is a dictionary, which equals none but itself.
        key = value if isinstance(value, str) else place
        if key not in known:
            known[key] = len(first)
            first.append(place)
        ids.append(known[key])
    return ids, first


def keys(couples: Int[np.ndarray, "p 2"], width: int) -> Int[np.ndarray, " p"]:
    """Couples (i, j) as sorted numbers i * width + j, each once."""
    import numpy as np

    return np.unique(couples[:, 0].astype(np.int64) * width + couples[:, 1])


def same_text(first: Side, second: Side) -> Int[np.ndarray, "p 2"]:
    """Couples of items with the same text."""
    import numpy as np

    if first is second or first.medium != second.medium:
        return np.empty((0, 2), dtype=np.int64)
    known = {item: j for j, item in enumerate(second.items) if isinstance(item, str)}
    found = [(i, known[item]) for i, item in enumerate(first.items) if isinstance(item, str) and item in known]
    return np.asarray(found, dtype=np.int64).reshape(-1, 2)


def strangers_by_pairs(
    anchors: Int[np.ndarray, " a"], known: Int[np.ndarray, " p"], width: int, rng: np.random.Generator
) -> Int[np.ndarray, "a s"]:
    """Items drawn for each anchor of which nothing is known; `known` as `keys` gives them."""
    import numpy as np

    def unknown(drawn: np.ndarray) -> np.ndarray:
        return ~np.isin(anchors[:, None].astype(np.int64) * width + drawn, known)

    return _drawn(len(anchors), width, unknown, rng)


def strangers_by_labels(
    anchors: Int[np.ndarray, " a"], labels: Int[np.ndarray, " n"], rng: np.random.Generator
) -> Int[np.ndarray, "a s"]:
    """Items of other labels, drawn for each anchor."""
    return _drawn(len(anchors), len(labels), lambda drawn: labels[drawn] != labels[anchors][:, None], rng)


def partners_by_labels(
    labels: Int[np.ndarray, " n"], rng: np.random.Generator
) -> tuple[Int[np.ndarray, " a"], Int[np.ndarray, " a"]]:
    """Items that share their label with another, and for each such another, drawn."""
    import numpy as np

    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    ends = counts.cumsum()
    of_order = labels[order]
    start, size = (ends - counts)[of_order], counts[of_order]
    # The next of the label in the drawn order, the first after the last: everyone is a partner once.
    following = order[start + (np.arange(len(order)) - start + 1) % size]
    partner = np.empty(len(labels), dtype=np.int64)
    partner[order] = following
    anchors = np.flatnonzero(counts[labels] > 1)
    return anchors, partner[anchors]


def _drawn(count: int, width: int, fits: Any, rng: np.random.Generator) -> Int[np.ndarray, "a s"]:
    import numpy as np

    drawn = rng.integers(width, size=(count, STRANGERS))
    good = fits(drawn)
    for _ in range(_ROUNDS):
        if good.all():
            break
        drawn = np.where(good, drawn, rng.integers(width, size=drawn.shape))
        good = fits(drawn)
    return np.where(good, drawn, -1)

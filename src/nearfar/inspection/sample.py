"""The sample of the data that is inspected: the items to encode, and which pairs of them match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

Medium = Literal["text", "image", "audio"]
Kind = Literal["query", "document"]


@dataclass(frozen=True, eq=False)
class Side:
    """The unique items of one column, or of one side of pairs.

    Args:
        name: The name of the column or side.
        items: The input of a model: texts, or files.
        origins: Where each item appears first: the number of a row, from 0, or an id.
        medium: What the items are.
        kind: Whether they are queries or documents, for models that encode these differently.
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
class Sample:
    """Everything that is known before a model is used; drawn once, so that two models are compared on the same items.

    Pairs are rows of two indices: of an item of the first side, and of an item of the last side.

    Args:
        schema: The schema of the data.
        total: Number of rows, or queries, in the data.
        rows: How many of them are in the sample.
        sides: One side; or two, where items of the first have positives among items of the second.
        positives: Pairs that match, without duplicates; empty where the data has none. With labels on a single side,
            each item that shares its label is paired with one other item of that label.
        excluded: Pairs that are not positives and must not count as negatives either. See `excluded_pairs`.
        negatives: Sampled pairs that do not match: (index into `anchors`, item of the last side).
        labels: A number for each item of the first side; None without labels.
        groups: A name for each item of each side, to colour it by; None where there is only the side's name.
        named_pairs: Further pairs to show similarities of, by their name: hard negatives, pairs with low scores.
        scored: Pairs, and the score that people gave to each.
        notes: Notes for readers of the results.
    """

    schema: str
    total: int
    rows: int
    sides: tuple[Side, ...]
    positives: Int[np.ndarray, "p 2"]
    excluded: Int[np.ndarray, "q 2"]
    negatives: Int[np.ndarray, "m 2"]
    labels: Int[np.ndarray, " n"] | None = None
    groups: tuple[list[str], ...] | None = None
    named_pairs: dict[str, Int[np.ndarray, "c 2"]] = field(default_factory=dict)
    scored: tuple[Int[np.ndarray, "c 2"], Float[np.ndarray, " c"]] | None = None
    notes: tuple[str, ...] = ()

    @property
    def anchors(self) -> Int[np.ndarray, " a"]:
        """The first item of each positive pair; all items of the first side where there are no positives."""
        return anchors_of(self.positives, len(self.sides[0]))

    @property
    def by_label(self) -> bool:
        """Whether items match because they share a label."""
        return self.labels is not None and len(self.sides) == 1

    @property
    def only_on_second(self) -> Int[np.ndarray, " m"]:
        """Items of the second side whose text is not on the first side too; empty with one side."""
        import numpy as np

        if len(self.sides) == 1:
            return np.empty(0, dtype=np.int64)
        first, second = self.sides
        if first.medium != second.medium:
            return np.arange(len(second))
        known = {item for item in first.items if isinstance(item, str)}
        return np.asarray([j for j, item in enumerate(second.items) if item not in known], dtype=np.int64)

    def __len__(self) -> int:
        return sum(map(len, self.sides))


def anchors_of(positives: Int[np.ndarray, "p 2"], count: int) -> Int[np.ndarray, " a"]:
    """The first item of each positive pair; where there are none, all `count` items."""
    import numpy as np

    return positives[:, 0] if len(positives) else np.arange(count)

"""Splitting rows so that no text stands on both sides: rows that share one stay together, and so on through others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.comparison.items import texts_of
from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Int

    from nearfar.comparison.items import Item

#: Rows that intervals need to say anything.
LEAST = 10


@dataclass(frozen=True)
class Split:
    """Which rows to train on and which to measure on.

    Args:
        training: Row numbers from 0.
        held_out: The others.
        groups: How many groups the rows fall into.
        largest: Rows in the largest of them.
        by_negatives: Rows that share a negative are in one group too.
    """

    training: list[int]
    held_out: list[int]
    groups: int
    largest: int
    by_negatives: bool

    def counts(self) -> dict[str, int | bool]:
        """For JSON: what it says of the groups."""
        return {"groups": self.groups, "largest": self.largest, "by_negatives": self.by_negatives}

    def __str__(self) -> str:
        what = "a text" if self.by_negatives else "an anchor or a positive (hard negatives left aside)"
        rows = len(self.training) + len(self.held_out)
        return (
            f"Split by groups: rows that share {what} are on one side. {rows:,} rows, {self.groups:,} groups (the "
            f"largest of {self.largest:,} rows): {len(self.training):,} to train on, {len(self.held_out):,} held out."
        )


def split_by_groups(rows: Dataset, *, share: float = 0.2, seed: int = 0) -> Split:
    """Hold out about `share` of the rows, whole groups of them.

    Two rows are in one group where a chain of shared texts joins them. A group larger than what is to be held out is
    trained on. Where hard negatives, drawn from one pool, join nearly all rows, they are left aside.

    Args:
        rows: Of any schema that has texts.
        share: Of the rows, at most; in (0, 1).
        seed: Decides which groups.

    Raises:
        InputError: the rows hang together, or are too few.
    """
    if not 0 < share < 1:
        raise InputError(f"{share} is no part of the rows", field="--held-out", remedy="use e.g. 0.2")
    if len(rows) < 3 * LEAST:
        problem = f"{len(rows):,} rows are too few to hold some of them out"
        raise InputError(problem, field="--data", remedy="give rows to measure on with --eval")
    most, largest, labels = max(LEAST, round(share * len(rows))), len(rows), _labels(rows)
    for negatives in (True, False):
        group = groups_of(texts_of(rows, negatives=negatives))
        largest = _largest(group)
        held_out = _drawn(group, most, seed) if labels is None else _stratified(group, labels, most / len(rows), seed)
        if len(held_out) >= max(LEAST, most) / 2 and len(rows) - len(held_out) >= 2:
            chosen = set(held_out)
            training = [row for row in range(len(rows)) if row not in chosen]
            return Split(training, held_out, int(group.max()) + 1, largest, negatives)
    problem = f"{len(rows):,} rows cannot be split: {largest:,} of them hang together by shared texts"
    if labels is not None and largest < len(rows) / 2:
        problem = f"{len(rows):,} rows cannot be split so that every label held out is learnt as well"
    raise InputError(problem, field="--data", remedy="give rows to measure on with --eval")


def groups_of(items: list[Item]) -> Int[np.ndarray, " rows"]:
    """The group of each row, numbered from 0: rows of which a chain of shared texts joins any two."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers: dict[str, int] = {}
    pairs = [(row, numbers.setdefault(text, len(numbers))) for row, item in enumerate(items) for text in item]
    of_row, of_text = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    size = len(items) + len(numbers)
    # Rows and texts are the nodes; a text is joined to every row that it stands in.
    edges = coo_array((np.ones(len(pairs), dtype=np.int8), (of_row, len(items) + of_text)), shape=(size, size))
    _, component = connected_components(edges.tocsr(), directed=False)
    return np.unique(component[: len(items)], return_inverse=True)[1]


def _drawn(group: Int[np.ndarray, " rows"], most: int, seed: int) -> list[int]:
    """Rows of groups drawn at random, at most `most` of them."""
    import numpy as np

    sizes = np.bincount(group)
    taken, chosen = 0, np.zeros(len(sizes), dtype=bool)
    for number in np.random.default_rng(seed).permutation(len(sizes)):
        if taken + sizes[number] <= most:
            chosen[number] = True
            taken += int(sizes[number])
    return np.flatnonzero(chosen[group]).tolist()


def _stratified(group: Int[np.ndarray, " rows"], labels: list[str], share: float, seed: int) -> list[int]:
    """Rows of groups, with each label's share; none with a label that the other rows lack."""
    import warnings

    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(max(2, int(1 / share)), int(group.max()) + 1)
    if folds < 2 or len(set(labels)) < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    names = np.array(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of labels with fewer rows than folds: seen to below
        try:
            _, chosen = next(iter(splitter.split(names, names, group)))
        except ValueError:  # no label has as many rows as there are folds
            return []
    held_out = np.zeros(len(names), dtype=bool)
    held_out[chosen] = True
    lost = held_out & ~np.isin(names, names[~held_out])
    held_out &= ~np.isin(group, group[lost])
    return np.flatnonzero(held_out).tolist()


def _labels(rows: Dataset) -> list[str] | None:
    return [str(label) for label in rows["label"][:]] if "label" in rows.column_names else None


def _largest(group: Int[np.ndarray, " rows"]) -> int:
    import numpy as np

    return int(np.bincount(group).max())

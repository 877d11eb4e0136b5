"""Splits rows so that no text is on both sides: rows that share a text stay together, also through other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.data.items import texts_of
from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Int

    from nearfar.data.items import Item

#: Minimum number of rows for meaningful intervals.
LEAST = 10


@dataclass(frozen=True)
class Split:
    """A split into training and evaluation rows.

    Args:
        training: Numbers of the training rows, from 0.
        held_out: Numbers of the evaluation rows.
        groups: Number of groups.
        largest: Number of rows in the largest group.
        by_negatives: Whether rows that share a negative are in one group, too.
    """

    training: list[int]
    held_out: list[int]
    groups: int
    largest: int
    by_negatives: bool

    def counts(self) -> dict[str, int | bool]:
        """The numbers of rows and groups, for JSON."""
        return {"groups": self.groups, "largest": self.largest, "by_negatives": self.by_negatives}

    def __str__(self) -> str:
        what = "a text" if self.by_negatives else "an anchor or a positive (hard negatives are ignored)"
        rows = len(self.training) + len(self.held_out)
        return (
            f"Split by groups: rows that share {what} are in the same split. {rows:,} rows, {self.groups:,} groups "
            f"(the largest has {self.largest:,} rows): {len(self.training):,} for training, {len(self.held_out):,} "
            "held out."
        )


def split_by_groups(rows: Dataset, *, share: float = 0.2, seed: int = 0) -> Split:
    """Hold out about a fraction `share` of the rows, in whole groups.

    Two rows are in one group if a chain of shared texts connects them. A group that is larger than the number of rows
    to hold out is used for training. Hard negatives are ignored if they connect nearly all rows, for example because
    they were drawn from one pool.

    Args:
        rows: Rows of any schema with texts.
        share: Maximum fraction of the rows to hold out, in (0, 1).
        seed: Random seed for the choice of groups.

    Raises:
        InputError: The rows are too few, or too many of them are in one group.
    """
    if not 0 < share < 1:
        raise InputError(
            f"invalid fraction {share}: must be between 0 and 1", field="--held-out", remedy="use e.g. 0.2"
        )
    if len(rows) < 3 * LEAST:
        problem = f"{len(rows):,} rows are too few to hold out some of them"
        raise InputError(problem, field="--data", remedy="give rows to measure on with --eval")
    labels, largest = _labels(rows), len(rows)
    for negatives in (True, False):
        group = groups_of(texts_of(rows, negatives=negatives))
        largest = _largest(group)
        held_out = _held_out(group, labels, share, seed)
        if held_out:
            chosen = set(held_out)
            training = [row for row in range(len(rows)) if row not in chosen]
            return Split(training, held_out, int(group.max()) + 1, largest, negatives)
    problem = f"{len(rows):,} rows cannot be split: {largest:,} of them are connected by shared texts"
    if labels is not None and largest < len(rows) / 2:
        problem = f"{len(rows):,} rows cannot be split so that every held-out label is also in the training rows"
    raise InputError(problem, field="--data", remedy="give rows to measure on with --eval")


def grouped_by_negatives(rows: Dataset, *, share: float = 0.2, seed: int = 0) -> bool:
    """Whether rows that share a negative belong together: not if negatives connect too many rows to split them.

    Args:
        rows, share, seed: As for `split_by_groups`, which decides in the same way; here, rows may be few.
    """
    return bool(_held_out(groups_of(texts_of(rows, negatives=True)), _labels(rows), share, seed))


def groups_of(items: list[Item]) -> Int[np.ndarray, " rows"]:
    """The group of each row, numbered from 0: rows are in one group if a chain of shared texts connects them."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers: dict[str, int] = {}
    pairs = [(row, numbers.setdefault(text, len(numbers))) for row, item in enumerate(items) for text in item]
    of_row, of_text = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    size = len(items) + len(numbers)
    # Rows and texts are the nodes; a text is connected to every row that contains it.
    edges = coo_array((np.ones(len(pairs), dtype=np.int8), (of_row, len(items) + of_text)), shape=(size, size))
    _, component = connected_components(edges.tocsr(), directed=False)
    return np.unique(component[: len(items)], return_inverse=True)[1]


def _held_out(group: Int[np.ndarray, " rows"], labels: list[str] | None, share: float, seed: int) -> list[int]:
    """Rows of whole groups, at least half as many as asked for; none if the groups are too large for that."""
    rows = len(group)
    most = max(LEAST, round(share * rows))
    held_out = _drawn(group, most, seed) if labels is None else _stratified(group, labels, most / rows, seed)
    return held_out if len(held_out) >= most / 2 and rows - len(held_out) >= 2 else []


def _drawn(group: Int[np.ndarray, " rows"], most: int, seed: int) -> list[int]:
    """At most `most` rows, from randomly drawn groups."""
    import numpy as np

    sizes = np.bincount(group)
    taken, chosen = 0, np.zeros(len(sizes), dtype=bool)
    for number in np.random.default_rng(seed).permutation(len(sizes)):
        if taken + sizes[number] <= most:
            chosen[number] = True
            taken += int(sizes[number])
    return np.flatnonzero(chosen[group]).tolist()


def _stratified(group: Int[np.ndarray, " rows"], labels: list[str], share: float, seed: int) -> list[int]:
    """Rows of groups, stratified by label; no row has a label that the other rows lack."""
    import warnings

    import numpy as np
    from sklearn.model_selection import StratifiedGroupKFold

    folds = min(max(2, int(1 / share)), int(group.max()) + 1)
    if folds < 2 or len(set(labels)) < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    names = np.array(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about labels with fewer rows than folds: handled below
        try:
            # Before scikit-learn 1.8, a shuffled fold may contain a group that is larger than all of it should be.
            within = (fold for _, fold in splitter.split(names, names, group) if len(fold) <= 2 * share * len(names))
            chosen = next(within, None)
        except ValueError:  # every label has fewer rows than there are folds
            return []
    if chosen is None:
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

"""A table of the unique values of columns, with an id in place of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class UniqueValues:
    """The unique values of some columns.

    Args:
        values: The unique values, in order of appearance: all of the first column, then new ones of the second, ...
        ids: For each row and column the index of the cell's value in `values`.
        rows: For each value the row of its first appearance.
    """

    values: list[Any]
    ids: Int[np.ndarray, "n c"]
    rows: Int[np.ndarray, " u"]


def unique_values(*columns: Sequence[Any]) -> UniqueValues:
    """Number the values of columns of equal length: equal texts share an id, any other value has its own."""
    import numpy as np

    known: dict[Any, int] = {}
    values: list[Any] = []
    rows: list[int] = []
    ids = np.empty((len(columns[0]), len(columns)), dtype=np.int64)
    for column, cells in enumerate(columns):
        for row, value in enumerate(cells):
            # The hub's files are dictionaries, which cannot be compared without reading them.
            key = value if isinstance(value, str) else (row, column)
            if key not in known:
                known[key] = len(values)
                values.append(value)
                rows.append(row)
            ids[row, column] = known[key]
    return UniqueValues(values, ids, np.asarray(rows, dtype=np.int64))

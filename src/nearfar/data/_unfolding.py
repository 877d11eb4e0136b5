"""Pairs with lists of positives or negatives in a row, as language models and FlagEmbedding write them."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its functions are created at import, where a type checker cannot see them

#: Columns of pairs that may contain a list of texts instead of one.
FOLDED = ("positive", "negative")


def unfolded(table: pa.Table, file: str) -> pa.Table:
    """One row for each positive, and one column for each negative.

    A row with fewer negatives than others repeats its own in turn, as FlagEmbedding does; a warning says how many do.

    Args:
        table: Columns `positive` and `negative` may be lists of texts, none of them empty.
        file: Its source, for the warning.
    """
    for name in FOLDED:
        if name in table.column_names and pa.types.is_list(table.schema.field(name).type):
            table = _one_row_each(table) if name == "positive" else _one_column_each(table, file)
    return table


def _one_row_each(table: pa.Table) -> pa.Table:
    lists = _array(table, "positive")
    rows = table.take(pc.list_parent_indices(lists))
    return rows.set_column(rows.column_names.index("positive"), "positive", pc.list_flatten(lists))


def _one_column_each(table: pa.Table, file: str) -> pa.Table:
    lists = _array(table, "negative")
    texts = pc.list_flatten(lists)
    lengths = pc.list_value_length(lists).to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    most = int(lengths.max())
    if fewer := int((lengths < most).sum()):
        text = "%s: %d rows have fewer than %d negatives; theirs are repeated"
        logging.getLogger(__name__).warning(text, file, fewer, most)
    taken = [int(name[9:]) for name in table.column_names if re.fullmatch(r"negative_\d+", name)]
    first = 1 + max(taken, default=0)
    at = table.column_names.index("negative")
    table = table.drop_columns(["negative"])
    for number in range(most):
        name = "negative" if most == 1 and not taken else f"negative_{first + number}"
        table = table.add_column(at + number, name, texts.take(pa.array(starts + number % lengths)))
    return table


def _array(table: pa.Table, name: str) -> Any:
    column = table.column(name).combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column

"""Copies an index into a database that people run, without encoding anything again.

Each module has one function, `write(out, rows, dimension, similarity)`, which refuses what exists already, and returns
a function that searches what was written: `nearest(vector, k)`, the ids of the nearest documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearfar.errors import InputError
from nearfar.search.stores.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nearfar.search.index import SearchIndex

__all__ = ["STORES", "Stored", "store_index"]

STORES = ("lancedb", "qdrant", "parquet")
#: Documents that are searched for in what was written.
_CHECKED = 20


@dataclass(frozen=True)
class Stored:
    """What was written.

    Args:
        out: The table, collection or file.
        count: Number of documents.
        dimension: Dimension of the vectors.
        checked: Number of documents that were searched for by their own vectors.
        found: How many of them were found first.
    """

    out: str
    count: int
    dimension: int
    checked: int
    found: int


def store_index(
    index: SearchIndex,
    store: str,
    out: str | Path,
    *,
    fields: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Stored:
    """Copy an index.

    Args:
        index: The index.
        store: `lancedb` (out: FOLDER/TABLE.lance), `qdrant` (a new folder for its local mode, or
            http://HOST:PORT/COLLECTION) or `parquet` (a file, for pgvector, Milvus and others).
        out: Where to.
        fields: Columns of the corpus that go along.
        progress: Called with (documents done, number of documents).

    Raises:
        InputError: The store is unknown or not installed, `out` exists or is no place for it, the server fails, or the
            corpus has no such column.
    """
    if store not in STORES:
        raise InputError(f"invalid store {store!r}: must be one of {', '.join(STORES)}", field="--for")
    if "://" in str(out) and not (store == "qdrant" and str(out).startswith(("http://", "https://"))):
        expected = "a folder or http://HOST:PORT/COLLECTION" if store == "qdrant" else "a path of this machine"
        remedy = "write there, and copy it"
        raise InputError(f"expected {expected}, got an address", file=str(out), field="--out", remedy=remedy)
    rows = Rows(index, fields, progress)
    module = import_module(f"nearfar.search.stores.{store}_store")
    nearest = module.write(out, rows, index.metadata.dimension, index.metadata.similarity)
    sample = np.unique(np.linspace(0, len(rows) - 1, min(_CHECKED, len(rows))).astype(np.int64))
    found = 0
    for row, vector in zip(sample.tolist(), index.vectors_of(sample), strict=True):
        name, text = rows.name(row), rows.text(row)
        (hit,) = nearest(vector, 1)
        # A document with the same text has the same vector.
        found += hit == name or rows.text_of(hit) == text
    return Stored(str(out), len(rows), index.metadata.dimension, len(sample), found)

"""The documents of an index as rows of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nearfar.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from nearfar.search.index import SearchIndex

__all__ = ["Rows"]

_BATCH = 4096


class Rows:
    """The documents: `id`, `text`, the columns that were asked for, and `vector`, a list of fixed size.

    Args:
        index: The index.
        fields: Columns of the corpus.
        progress: Called with (rows read, number of rows).

    Raises:
        InputError: A column has the name of one of the index.
    """

    def __init__(
        self, index: SearchIndex, fields: Sequence[str] = (), progress: Callable[[int, int], None] | None = None
    ) -> None:
        if taken := sorted({"id", "text", "vector"} & set(fields)):
            problem = f"the index has a column {taken[0]!r} of its own"
            raise InputError(problem, field="--fields", remedy="remove it, or rename the column of the corpus")
        self._index, self._progress = index, progress
        self._fields = index.fields(fields) if fields else None

    def __len__(self) -> int:
        return self._index.metadata.count

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        import pyarrow as pa

        columns = [pa.field("id", pa.string()), pa.field("text", pa.string())]
        columns += [] if self._fields is None else list(self._fields.schema)
        return pa.schema([*columns, pa.field("vector", pa.list_(pa.float32(), self._index.metadata.dimension))])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, a few thousand at a time."""
        import pyarrow as pa

        for start in range(0, len(self), _BATCH):
            numbers = np.arange(start, min(start + _BATCH, len(self)))
            vectors = self._vectors(numbers)
            lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
            columns = [self._column(self._index.texts, name, start, len(numbers)) for name in ("id", "text")]
            if self._fields is not None:
                columns += [self._column(self._fields, name, start, len(numbers)) for name in self._fields.column_names]
            yield pa.RecordBatch.from_arrays([*columns, lists], schema=self.schema)
            if self._progress is not None:
                self._progress(int(numbers[-1]) + 1, len(self))

    def _vectors(self, rows: np.ndarray) -> np.ndarray:
        vectors = self._index.vectors_of(rows)
        if self._index.metadata.precision == "float32" or self._index.metadata.similarity != "cosine":
            return vectors
        # Vectors of 8-bit codes are not quite of length 1: a product with them would not be the cosine.
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)

    def name(self, row: int) -> str:
        """The id of a document."""
        return self._index.texts.column("id")[row].as_py()

    def text(self, row: int) -> str:
        """The text of a document."""
        return self._index.texts.column("text")[row].as_py()

    def text_of(self, name: str) -> str | None:
        """The text of the document with an id; None without one."""
        row = self._rows.get(name)
        return None if row is None else self.text(row)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._index.texts.column("id").to_pylist())}

    @staticmethod
    def _column(table: pa.Table, name: str, start: int, count: int) -> pa.Array:
        found = table.column(name).slice(start, count).combine_chunks()
        return found.chunk(0) if hasattr(found, "chunk") else found  # pyright: ignore[reportAttributeAccessIssue]

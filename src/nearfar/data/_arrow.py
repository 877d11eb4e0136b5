"""Parquet as blocks of rows, and the table that collects checked rows."""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearfar.data._blocks import ROWS, Block, Source
from nearfar.data._values import is_text
from nearfar.data.files import check_foreign, is_compressed, open_binary
from nearfar.errors import InputError


def open_parquet(path: Path) -> Source:
    """Open a Parquet file; only the columns that are needed are read."""
    with open_binary(path) as raw:
        head = raw.read(64)
        if not head.startswith(b"PAR1"):
            check_foreign(path, head)
        # Reading Parquet starts at the end of the file, so a compressed file must be unpacked first.
        file = tempfile.TemporaryFile() if is_compressed(path) else path.open("rb")  # noqa: SIM115
        if is_compressed(path):
            file.write(head)
            shutil.copyfileobj(raw, file)
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition(".")[0]
        raise InputError(
            f"is not a valid Parquet file ({reason})", file=path, remedy="write or copy it again"
        ) from None
    names = parquet.schema_arrow.names
    for name in names:
        if names.count(name) > 1:
            raise InputError("duplicate column name", file=path, field=name, remedy="rename one of them")
    if not parquet.metadata.num_rows:
        raise InputError("is empty", file=path, remedy="add rows")
    return Source(
        str(path),
        names,
        lambda wanted: _row_groups(path, parquet, wanted),
        counts="rows",
        lists=text_lists(parquet.schema_arrow),
    )


def text_lists(schema: pa.Schema) -> list[str]:
    """The columns of a schema that contain lists of strings."""
    return [
        field.name
        for field in schema
        if (pa.types.is_list(field.type) or pa.types.is_large_list(field.type)) and is_text(field.type.value_type)  # pyright: ignore[reportAttributeAccessIssue]
    ]


def table_blocks(batches: Iterator[Any]) -> Iterator[Block]:
    """Yield Arrow batches as blocks; their places are row numbers, from 1."""
    start = 1
    for batch in batches:
        places = range(start, start + batch.num_rows)
        start = places.stop
        if batch.num_rows:
            yield Block(batch.schema.names, places, batch.column)


def _row_groups(path: Path, parquet: pq.ParquetFile, wanted: Sequence[str]) -> Iterator[Block]:
    try:
        yield from table_blocks(parquet.iter_batches(ROWS, columns=list(wanted)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is corrupted ({error!s:.80})", file=path, remedy="write or copy it again") from None


class Gathered:
    """Collects record batches for one table: in memory while small, else in an unnamed memory-mapped file.

    Args:
        memory: Maximum number of bytes in memory.
    """

    def __init__(self, memory: int = 256 << 20) -> None:
        self.memory, self.bytes, self.rows = memory, 0, 0
        self.batches: list[pa.RecordBatch] = []
        self.file: IO[bytes] | None = None
        self.writer: Any = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch; all batches must have the same schema."""
        self.batches.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes
        if self.bytes > self.memory:
            if self.file is None:
                self.file = tempfile.TemporaryFile()  # noqa: SIM115
                self.writer = pa.ipc.new_stream(self.file, batch.schema)
            for held in self.batches:
                self.writer.write_batch(held)
            self.batches, self.bytes = [], 0

    def table(self) -> pa.Table:
        """Return all rows. If a file was needed, it exists until the table is freed."""
        if self.file is None:
            return pa.Table.from_batches(self.batches)
        for held in self.batches:
            self.writer.write_batch(held)
        self.writer.close()
        self.file.flush()
        mapped = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        self.file.close()
        return pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(mapped))).read_all()

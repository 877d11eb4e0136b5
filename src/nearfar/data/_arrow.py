"""Parquet as blocks of rows, and the table that checked rows gather in."""

from __future__ import annotations

import gzip
import mmap
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearfar.data._blocks import ROWS, Block, Source
from nearfar.data.files import open_binary
from nearfar.errors import InputError


def open_parquet(path: Path) -> Source:
    """Open a Parquet file; only the columns wanted are read."""
    with open_binary(path) as raw:
        # Parquet is read from its end, which a gzip stream cannot reach without unpacking.
        file = tempfile.TemporaryFile() if isinstance(raw, gzip.GzipFile) else path.open("rb")  # noqa: SIM115
        if isinstance(raw, gzip.GzipFile):
            shutil.copyfileobj(raw, file)
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition(".")[0]
        raise InputError(f"is not sound Parquet ({reason})", file=path, remedy="write or copy it again") from None
    names = parquet.schema_arrow.names
    for name in names:
        if names.count(name) > 1:
            raise InputError("two columns have this name", file=path, field=name, remedy="rename one of them")
    if not parquet.metadata.num_rows:
        raise InputError("holds no rows", file=path, remedy="add rows")
    return Source(str(path), names, lambda wanted: _row_groups(path, parquet, wanted), counts="rows")


def table_blocks(batches: Iterator[Any]) -> Iterator[Block]:
    """Yield Arrow batches as blocks whose places count rows from 1."""
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
        raise InputError(f"is damaged ({error!s:.80})", file=path, remedy="write or copy it again") from None


class Gathered:
    """Record batches on their way to one table: in memory while small, in an unnamed memory-mapped file beyond.

    Args:
        memory: Bytes to hold in memory.
    """

    def __init__(self, memory: int = 256 << 20) -> None:
        self.memory, self.bytes, self.rows = memory, 0, 0
        self.batches: list[pa.RecordBatch] = []
        self.file: IO[bytes] | None = None
        self.writer: Any = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in a batch; all of them have the same schema."""
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
        """Return all rows. A file that was needed lives until the table is freed."""
        if self.file is None:
            return pa.Table.from_batches(self.batches)
        for held in self.batches:
            self.writer.write_batch(held)
        self.writer.close()
        self.file.flush()
        mapped = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        self.file.close()
        return pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(mapped))).read_all()

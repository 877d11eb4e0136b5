"""Writes rows to JSON Lines or Parquet, by the suffix of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.files import write_jsonl
from nearfar.errors import InputError
from nearfar.writing import check_writable, draft_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_row_file", "write_rows"]

_JSONL = (".jsonl", ".jsonl.gz")
# Rows in memory at a time.
_ROWS = 10_000


def check_row_file(
    path: str | Path, option: str = "--out", *, others: Iterable[object] = (), more: Sequence[str] = ()
) -> None:
    """Check, before the work, that `write_rows` can write to a path.

    Args:
        path: The file to write.
        option: The option that names it.
        others: Input and other output, which must be other files; what is no path is ignored.
        more: Suffixes of other formats that the caller writes.

    Raises:
        InputError: The suffix is unknown, the path is a folder, one of the others, or not writable.
    """
    path = Path(path)
    if any(isinstance(each, (str, Path)) and Path(each).resolve() == path.resolve() for each in others):
        problem = "expected another file than the input and the other output"
        raise InputError(problem, file=path, field=option, remedy="use another name")
    if path.is_dir():
        raise InputError(
            "expected a file name, got a folder", file=path, field=option, remedy="pass the name of a file"
        )
    if not path.name.endswith((*_JSONL, ".parquet", *more)):
        *first, last = (".jsonl", ".parquet", *more)
        known = f"{', '.join(first)} or {last}"
        raise InputError(f"unknown suffix {path.suffix!r}", file=path, field=option, remedy=f"use {known}")
    check_writable(path.absolute().parent, option)


def write_rows(rows: Iterable[Mapping[str, Any]], path: str | Path, *, schema: pa.Schema | None = None) -> int:
    """Write rows to a `.jsonl`, `.jsonl.gz` or `.parquet` file: all or nothing.

    Args:
        rows: The rows.
        path: The file.
        schema: The columns of a Parquet file; by default those of the first row, with the types of the first rows.

    Returns:
        The number of rows. A Parquet file of no rows has no columns.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(_JSONL):
        return write_jsonl(rows, path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, source = 0, iter(rows)
    with draft_of(path) as draft:
        table = pa.Table.from_pylist(_some(source), schema=schema)
        with pq.ParquetWriter(draft, table.schema) as writer:
            while table.num_rows:
                writer.write_table(table)
                count += table.num_rows
                table = pa.Table.from_pylist(_some(source), schema=table.schema)
    return count


def _some(rows: Iterator[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row) for row in islice(rows, _ROWS)]

"""The formats of files of vectors: a NumPy matrix, or Parquet with the texts; both are written and read in windows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

__all__ = ["WRITERS", "read_vector_windows"]


def read_vector_windows(file: Path, size: int) -> Iterator[Float[np.ndarray, "window d"]]:
    """The vectors of a file that `nearfar.models.encoding_files` wrote, in windows of `size` rows; the last one may be
    shorter.

    Raises:
        InputError: The file does not exist, or is not a file of vectors.
    """
    from nearfar.data.files import check_file

    check_file(file)
    return (_parquet_windows if file.suffix.lower() == ".parquet" else _npy_windows)(file, size)


def _npy_windows(file: Path, size: int) -> Iterator[Float[np.ndarray, "window d"]]:
    import numpy as np

    try:
        matrix = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"is not a valid .npy file ({error!s:.80})", file=file, remedy="write it again") from None
    if matrix.ndim != 2 or matrix.dtype != np.float32:
        problem = f"expected a matrix of float32, got {matrix.dtype} of shape {matrix.shape}"
        raise InputError(problem, file=file, remedy="write it with nearfar encode")
    # Each window is copied, so that the pages of the map do not count as memory of this process for long.
    return (np.array(matrix[start : start + size]) for start in range(0, len(matrix), size))


def _parquet_windows(file: Path, size: int) -> Iterator[Float[np.ndarray, "window d"]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is not a valid Parquet file ({error!s:.80})", file=file, remedy="write it again") from None
    kind = table.schema_arrow.field("vector").type if "vector" in table.schema_arrow.names else None
    if not pa.types.is_fixed_size_list(kind):
        problem = f"expected fixed-size lists of numbers, got {kind or 'no such column'}"
        raise InputError(problem, file=file, field="vector", remedy="write it with nearfar encode")
    return (_matrix(batch.column(0)) for batch in table.iter_batches(size, columns=["vector"]))


def _matrix(lists: Any) -> Float[np.ndarray, "window d"]:
    # Copied: Arrow's buffers cannot be written to, which torch warns of.
    return lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), lists.type.list_size).copy()


def _write_npy(
    file: Path, windows: Iterator[tuple[list[str], Any]], column: str, facts: Mapping[str, Any]
) -> tuple[int, int]:
    import numpy as np

    count, dimension = 0, 0
    with open(file, "wb") as stream:

        def write_header() -> None:
            # The library leaves room in the header for any number of rows.
            header = {"descr": "<f4", "fortran_order": False, "shape": (count, dimension)}
            np.lib.format.write_array_header_1_0(stream, header)

        for _, vectors in windows:
            if not dimension:
                dimension = vectors.shape[1]
                write_header()
            # Append instead of a writable memory map, whose pages use this process's memory until they are flushed.
            stream.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            count += len(vectors)
        stream.seek(0)
        write_header()
    return count, dimension


def _write_parquet(
    file: Path, windows: Iterator[tuple[list[str], Any]], column: str, facts: Mapping[str, Any]
) -> tuple[int, int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, count, dimension = None, 0, 0
    try:
        for texts, vectors in windows:
            dimension = vectors.shape[1]
            lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), pa.float32()), dimension)
            table = pa.table({column: pa.array(texts, pa.string()), "vector": lists})
            table = table.replace_schema_metadata({"nearfar": json.dumps(facts, ensure_ascii=False)})
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table, row_group_size=len(texts))
            count += len(texts)
    finally:
        if writer is not None:
            writer.close()
    return count, dimension


#: Suffix -> writes windows of (texts, vectors) to a file; the facts are stored in the file where it has room for them.
#: Returns the shape of the matrix.
WRITERS: dict[str, Callable[[Path, Iterator[tuple[list[str], Any]], str, Mapping[str, Any]], tuple[int, int]]] = {
    ".npy": _write_npy,
    ".parquet": _write_parquet,
}

"""Existing vectors: a matrix, or a file written by `nearfar encode`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.inspection.sample import Sample

#: Endings of files of vectors.
VECTOR_FILES = (".npy", ".parquet")
_ROWS_PER_BATCH = 1_024


def is_vectors(model: Any) -> TypeGuard[str | Path | np.ndarray]:
    """Whether a model is given as a matrix of vectors, or as the name of a file of vectors."""
    import numpy as np

    if isinstance(model, (str, Path)):
        return Path(model).suffix.lower() in VECTOR_FILES
    return isinstance(model, np.ndarray)


def read_vectors(source: str | Path | np.ndarray, sample: Sample) -> tuple[Float[np.ndarray, "n d"], ...]:
    """The unit vectors of the items of a sample with one side, from a matrix whose row i belongs to row i of the data.

    A file is mapped into memory, or read in batches, and only rows of the sample are kept.

    Args:
        source: A matrix (rows, d), `.npy`, or `.parquet` with a column `vector`.
        sample: What is inspected.

    Raises:
        InputError: not one vector for each row, data with two sides, NaN or infinity, or no such file.
    """
    import numpy as np

    from nearfar.models.encoding import require_finite

    file = source if isinstance(source, (str, Path)) else None
    first, *others = sample.sides
    if others or any(isinstance(origin, str) for origin in first.origins):
        raise InputError(
            f"expected rows with one text for vectors, got {sample.schema}", file=file, remedy="pass the model itself"
        )
    wanted = np.asarray(first.origins, dtype=np.int64)
    if isinstance(source, (str, Path)):
        read = _from_parquet if Path(source).suffix.lower() == ".parquet" else _from_npy
        vectors = read(Path(source).expanduser(), wanted, sample.total)
    else:
        vectors = _rows(source, wanted, sample.total, None)
    require_finite(vectors)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12),)


def _rows(matrix: Any, wanted: np.ndarray, rows: int, file: Path | None) -> Float[np.ndarray, "n d"]:
    import numpy as np

    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.floating):
        raise InputError(
            f"expected a matrix of floating-point numbers, got {matrix.dtype} of shape {matrix.shape}",
            file=file,
            remedy="write it with nearfar encode",
        )
    _require_rows(len(matrix), rows, file)
    return np.asarray(matrix[wanted], dtype=np.float32)


def _from_npy(file: Path, wanted: np.ndarray, rows: int) -> Float[np.ndarray, "n d"]:
    import numpy as np

    from nearfar.data.files import check_file

    check_file(file)
    try:
        matrix = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"is not a valid .npy file ({error!s:.80})", file=file, remedy="write it again") from None
    return _rows(matrix, wanted, rows, file)


def _from_parquet(file: Path, wanted: np.ndarray, rows: int) -> Float[np.ndarray, "n d"]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nearfar.data.files import check_file

    check_file(file)
    try:
        table = pq.ParquetFile(file)
        if "vector" not in table.schema_arrow.names:
            raise InputError("missing column", file=file, field="vector", remedy="write it with nearfar encode")
        _require_rows(table.metadata.num_rows, rows, file)
        kept, start = [], 0
        order = np.argsort(wanted)
        ascending = wanted[order]
        for batch in table.iter_batches(_ROWS_PER_BATCH, columns=["vector"]):
            low, high = np.searchsorted(ascending, [start, start + len(batch)])
            some = batch.column(0).take(pa.array(ascending[low:high] - start))
            kept += some.to_pylist()
            start += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is not a valid Parquet file ({error!s:.80})", file=file, remedy="write it again") from None
    if len({len(each) if each else 0 for each in kept}) != 1:
        raise InputError(
            "expected vectors of one width, got several",
            file=file,
            field="vector",
            remedy="write it with nearfar encode",
        )
    vectors = np.empty((len(wanted), len(kept[0])), dtype=np.float32)
    vectors[order] = np.asarray(kept, dtype=np.float32)
    return vectors


def _require_rows(found: int, rows: int, file: Path | None) -> None:
    if found != rows:
        raise InputError(
            f"expected {rows:,} vectors, one for each row, got {found:,}",
            file=file,
            remedy="pass the data that they were made from",
        )

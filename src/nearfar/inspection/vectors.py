"""From what is looked at to vectors: by a model, or out of a file that `nearfar encode` wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.material import Material, Side

Step = Callable[[int], None]

#: Endings of files that hold vectors.
ENDINGS = (".npy", ".parquet")
_AT_ONCE = 1_024


def is_vectors(model: Any) -> bool:
    """Whether what was given for a model is vectors, or the name of a file with them."""
    import numpy as np

    if isinstance(model, (str, Path)):
        return Path(model).suffix.lower() in ENDINGS
    return isinstance(model, np.ndarray)


def encode_sides(
    model: SentenceTransformer, material: Material, *, batch_size: int = 64, step: Step | None = None
) -> tuple[Float[np.ndarray, "n d"], ...]:
    """The unit vectors of each side's items, in their order.

    Args:
        model: The encoder.
        material: What is looked at.
        batch_size: Items a forward pass.
        step: Called with the number of items done since the last call.

    Raises:
        InputError: the model does not read such items, or answers with NaN or infinity.
    """
    import numpy as np

    found = []
    for side in material.sides:
        parts = []
        for start in range(0, len(side), _AT_ONCE):
            parts.append(_encode(model, side, side.items[start : start + _AT_ONCE], batch_size))
            if step is not None:
                step(len(parts[-1]))
        found.append(np.concatenate(parts))
    widths = list(dict.fromkeys(len(part[0]) for part in found))
    if len(widths) > 1:
        raise InputError(f"the towers give vectors of {' and '.join(map(str, widths))} numbers", field="model")
    return tuple(found)


def read_vectors(
    source: str | Path | np.ndarray, material: Material, rows: int
) -> tuple[Float[np.ndarray, "n d"], ...]:
    """The unit vectors of the items of the only side, of a matrix whose row i belongs to row i of the data.

    A file is mapped into memory, or read a part at a time, and only the rows that are looked at are kept.

    Args:
        source: A matrix (rows, d), `.npy`, or `.parquet` with a column `vector`.
        material: What is looked at.
        rows: How many rows the data has.

    Raises:
        InputError: not one vector a row, data with two sides, NaN or infinity, or no such file.
    """
    import numpy as np

    from nearfar.models.encoding import require_finite

    file = source if isinstance(source, (str, Path)) else None
    first, *others = material.sides
    if others or any(isinstance(origin, str) for origin in first.origins):
        raise InputError(
            f"one vector a row is too few for {material.schema}", file=file, remedy="give the model itself"
        )
    wanted = np.asarray(first.origins, dtype=np.int64)
    if file is None:
        assert isinstance(source, np.ndarray)
        vectors = _rows(source, wanted, rows, None)
    else:
        read = _from_parquet if Path(file).suffix.lower() == ".parquet" else _from_npy
        vectors = read(Path(file).expanduser(), wanted, rows)
    require_finite(vectors)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12),)


def _encode(model: SentenceTransformer, side: Side, items: Any, batch_size: int) -> Float[np.ndarray, "n d"]:
    from nearfar.models.encoding import encode
    from nearfar.models.towers import medium_of
    from nearfar.models.towers.reading import encode_media
    from nearfar.models.towers.texts import has_text_towers

    if side.medium != "text":
        if medium_of(model) is None:
            raise InputError("the model reads texts alone", field=side.name, remedy="give one with a tower for them")
        return encode_media(model, items, side.medium, batch_size=batch_size)
    kind = side.kind or ("query" if has_text_towers(model) else None)
    return encode(model, items, batch_size=batch_size, kind=None if medium_of(model) else kind)


def _rows(matrix: Any, wanted: np.ndarray, rows: int, file: Path | None) -> Float[np.ndarray, "n d"]:
    import numpy as np

    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.floating):
        raise InputError(f"a matrix of vectors is needed, not {matrix.dtype} of shape {matrix.shape}", file=file)
    if len(matrix) != rows:
        raise InputError(
            f"{len(matrix):,} vectors for {rows:,} rows", file=file, remedy="give the data that they were made of"
        )
    return np.asarray(matrix[wanted], dtype=np.float32)


def _from_npy(file: Path, wanted: np.ndarray, rows: int) -> Float[np.ndarray, "n d"]:
    import numpy as np

    from nearfar.data.files import check_file

    check_file(file)
    try:
        matrix = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"is not sound .npy ({error!s:.80})", file=file, remedy="write or copy it again") from None
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
            raise InputError("there is no column 'vector'", file=file, remedy="write it with nearfar encode")
        if table.metadata.num_rows != rows:
            raise InputError(
                f"{table.metadata.num_rows:,} vectors for {rows:,} rows",
                file=file,
                remedy="give the data that they were made of",
            )
        kept, start = [], 0
        order = np.argsort(wanted)
        ascending = wanted[order]
        for batch in table.iter_batches(_AT_ONCE, columns=["vector"]):
            low, high = np.searchsorted(ascending, [start, start + len(batch)])
            some = batch.column(0).take(pa.array(ascending[low:high] - start))
            kept += some.to_pylist()
            start += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"is not sound Parquet ({error!s:.80})", file=file, remedy="write it again") from None
    if len({len(each) if each else 0 for each in kept}) != 1:
        raise InputError("the vectors have different lengths", file=file, field="vector")
    vectors = np.empty((len(wanted), len(kept[0])), dtype=np.float32)
    vectors[order] = np.asarray(kept, dtype=np.float32)
    return vectors

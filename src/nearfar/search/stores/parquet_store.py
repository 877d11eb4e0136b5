"""A Parquet file with ids and vectors of fixed size: what pgvector, Milvus, DuckDB and Spark load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.writing import check_writable, draft_of, file_claimed

if TYPE_CHECKING:
    import numpy as np

    from nearfar.search.stores.rows import Rows

__all__ = ["write"]


def write(out: str | Path, rows: Rows, dimension: int, similarity: str) -> Callable[[np.ndarray, int], list[str]]:
    """Write the file, all or nothing; an existing one is replaced.

    Raises:
        InputError: Another suffix than .parquet, or not writable.
    """
    import pyarrow.parquet as pq

    path = Path(out)
    if path.suffix != ".parquet" or path.is_dir():
        raise InputError("expected the name of a .parquet file", file=path, field="--out")
    check_writable(path.absolute().parent)
    with file_claimed(path), draft_of(path) as draft, pq.ParquetWriter(draft, rows.schema) as writer:
        for batch in rows.batches():
            writer.write_batch(batch)

    def nearest(vector: np.ndarray, k: int) -> list[str]:
        import numpy as np

        best: list[tuple[float, str]] = []
        for batch in pq.ParquetFile(path).iter_batches(columns=["id", "vector"]):
            vectors = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
            scores = vectors @ vector
            names = batch.column("id")
            best += [(float(scores[row]), names[int(row)].as_py()) for row in np.argsort(-scores)[:k]]
            best = sorted(best, reverse=True)[:k]
        return [name for _, name in best]

    return nearest

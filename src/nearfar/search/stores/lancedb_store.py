"""A table of LanceDB, which runs in the process of its user."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.writing import check_writable

if TYPE_CHECKING:
    import numpy as np

    from nearfar.search.stores.rows import Rows

__all__ = ["write"]

_SUFFIX = ".lance"


def write(out: str | Path, rows: Rows, dimension: int, similarity: str) -> Callable[[np.ndarray, int], list[str]]:
    """Write the table TABLE of the database FOLDER, for the path FOLDER/TABLE.lance.

    LanceDB commits a table when its last row is written: after a kill there is none.

    Raises:
        InputError: LanceDB is not installed, another path, or the table exists.
    """
    path = Path(out)
    if path.suffix != _SUFFIX:
        raise InputError(
            "expected FOLDER/TABLE.lance", file=path, field="--out", remedy="e.g. database/documents.lance"
        )
    try:
        import lancedb
    except ImportError as error:
        raise InputError("requires LanceDB", field="--for", remedy='pip install "nearfar[lancedb]"') from error
    check_writable(path.absolute().parent)
    if path.exists():
        raise InputError("already exists", file=path, field="--out", remedy="choose another table, or drop it first")
    database: Any = lancedb.connect(str(path.absolute().parent))
    table = database.create_table(path.stem, rows.batches(), schema=rows.schema)

    def nearest(vector: np.ndarray, k: int) -> list[str]:
        asked = table.search(vector.tolist(), vector_column_name="vector").distance_type(similarity)
        return [row["id"] for row in asked.limit(k).to_list()]

    return nearest

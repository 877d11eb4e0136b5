"""A table of LanceDB, which runs in the process of its user."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.writing import check_free, check_writable, draft_folder, file_claimed, full_disk_noticed

if TYPE_CHECKING:
    import numpy as np

    from nearfar.search.stores.rows import Rows

__all__ = ["write"]

_SUFFIX = ".lance"
_REMEDY = "choose another table, or drop it first"


def write(out: str | Path, rows: Rows, dimension: int, similarity: str) -> Callable[[np.ndarray, int], list[str]]:
    """Write the table TABLE of the database FOLDER, for the path FOLDER/TABLE.lance.

    LanceDB commits a table when its last row is written, but its folder exists from the start: the table is written to
    a database of its own first, and the folder moved to its place.

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
    check_free(path, remedy=_REMEDY)
    with file_claimed(path):
        check_free(path, remedy=_REMEDY)  # once more: another process may just have finished
        with full_disk_noticed(path.absolute().parent), draft_folder(path) as draft:
            unfinished: Any = lancedb.connect(str(draft))
            unfinished.create_table(path.stem, rows.batches(), schema=rows.schema)
            os.rename(draft / path.name, path)
    database: Any = lancedb.connect(str(path.absolute().parent))
    table = database.open_table(path.stem)

    def nearest(vector: np.ndarray, k: int) -> list[str]:
        asked = table.search(vector.tolist(), vector_column_name="vector").distance_type(similarity)
        return [row["id"] for row in asked.limit(k).to_list()]

    return nearest

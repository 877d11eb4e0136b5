"""Rows as every run of a comparison reads them: read once, with paths that hold in any folder, and their hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.media import medium_in
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval

__all__ = ["check_paths", "hash_of", "read_source", "with_absolute_paths"]


def read_source(source: Any, columns: Mapping[str, str] | None, *, skip_broken: bool) -> Dataset:
    """Read training rows.

    Args:
        source: A file, a folder, a Hub ID, or a dataset in memory.
        columns: Canonical column name -> name in the file.
        skip_broken: Skip broken files and empty turns, see `nearfar.data.load`.

    Raises:
        InputError: The rows cannot be read.
    """
    from nearfar.data import load

    return with_absolute_paths(load(source, columns=columns, skip_broken=skip_broken))


def with_absolute_paths(rows: Dataset) -> Dataset:
    """The rows with absolute paths of image and audio files, so that the table can be stored anywhere."""
    medium = medium_in(rows.column_names)
    if medium is None or getattr(rows.features[medium], "dtype", None) != "string":
        return rows
    names, paths = rows.column_names, [str(Path(path).absolute()) for path in rows[medium][:]]
    return rows.remove_columns(medium).add_column(medium, paths).select_columns(names)  # pyright: ignore[reportCallIssue]


def check_paths(rows: Dataset, file: str | Path | None) -> None:
    """Check that images and audio files are paths.

    Raises:
        InputError: They are inside the dataset.
    """
    medium = medium_in(rows.column_names)
    if medium is not None and getattr(rows.features[medium], "dtype", None) != "string":
        remedy = f"save the files, and use a table with their paths in the column {medium!r}"
        raise InputError(
            "contains media inside the dataset, which separate processes cannot share", file=file, remedy=remedy
        )


def hash_of(rows: Dataset | Retrieval) -> str:
    """The SHA-256 of rows, or of a BEIR-format dataset."""
    import hashlib
    import json

    from nearfar.data.fingerprint import fingerprint
    from nearfar.data.retrieval import Retrieval

    if isinstance(rows, Retrieval):
        return hashlib.sha256(json.dumps([rows.corpus, rows.queries, rows.relevant]).encode()).hexdigest()
    return fingerprint(rows)

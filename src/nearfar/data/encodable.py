"""The input of `nearfar encode`: rows of texts, or image or audio files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data.media import medium_in, usable
from nearfar.data.media_folders import files_below, unlabelled_files
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

#: Column -> the schema with this column only.
_SCHEMAS = {"text": "sentences", "image": "images", "audio": "audio"}
KINDS = tuple(_SCHEMAS)


def load_encodable(
    source: str | Path,
    kind: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    skip_broken: bool = False,
) -> tuple[Dataset, str]:
    """Read rows of one column.

    Args:
        source: A file, a folder of files or a hub id with a column `text`, `image` or `audio`; or a folder with
            image or audio files at any depth, which are sorted by path.
        kind: The column. When None: `text` if the table has it, else `image` or `audio`.
        columns: Canonical column name -> name in the file.
        skip_broken: Remove rows with broken files, see `nearfar.data.load`.

    Returns:
        The rows, and the name of their column.

    Raises:
        InputError: The source cannot be read, or contains nothing of that kind.
    """
    from nearfar.data.readers import columns_of, load

    if kind is not None and kind not in KINDS:
        raise InputError(
            f"invalid kind {kind!r}: must be one of {', '.join(KINDS)}", field="--kind", remedy="remove --kind"
        )
    folder = Path(source).expanduser()
    found = files_below(folder) if folder.is_dir() else None
    if found is not None and kind in (None, found[0]):
        return _rows(*found, source, skip_broken), found[0]
    if kind is None:
        names = columns_of(source, columns=columns)
        kind = "text" if "text" in names else medium_in(names) or "text"
    rows = load(source, columns=columns, schema=_SCHEMAS[kind], skip_broken=skip_broken)
    return rows.select_columns([kind]), kind


def folder_of_files(source: str | Path | Dataset, *, skip_broken: bool = False) -> Dataset | None:
    """The image or audio files at any depth of a folder, sorted by path, as the column `image` or `audio`.

    Args:
        source: A folder; for anything else, and for a folder whose files are sorted by label, the result is None.
        skip_broken: Remove rows with broken files, see `nearfar.data.load`.

    Raises:
        InputError: The folder contains both images and audio files, or a file is broken.
    """
    found = unlabelled_files(source)
    return None if found is None else _rows(*found, source, skip_broken)


def _rows(medium: str, files: list[str], source: object, skip_broken: bool) -> Dataset:
    from datasets import Dataset

    return usable(Dataset.from_dict({medium: files}), str(source), skip_broken=skip_broken)

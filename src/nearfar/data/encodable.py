"""What `nearfar encode` reads: rows of texts, or the files of pictures or recordings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data.media import MEDIA, files_below, medium_in, usable
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

#: The schema that has one column alone.
_SCHEMAS = {"text": "sentences", "image": "images", "audio": "recordings"}
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
            pictures or recordings in it, at whatever depth, which are taken in the order of their paths.
        kind: The column; `text` where a table has it, else the other one, when None.
        columns: Canonical column name -> name in the file.
        skip_broken: Leave out broken files, see `nearfar.data.load`.

    Returns:
        The rows, and the name of their column.

    Raises:
        InputError: The source cannot be read, or holds nothing of that kind.
    """
    from datasets import Dataset

    from nearfar.data.readers import columns_of, load

    if kind is not None and kind not in KINDS:
        raise InputError(
            f"{kind!r} is none of {', '.join(KINDS)}", field="--kind", remedy="write text, or leave it out"
        )
    folder = Path(source).expanduser()
    found = files_below(folder) if folder.is_dir() else None
    if found is not None and kind in (None, found[0]):
        medium, files = found
        return usable(Dataset.from_dict({medium: files}), str(source), skip_broken=skip_broken), medium
    if kind is None:
        names = columns_of(source, columns=columns)
        kind = "text" if "text" in names else medium_in(names) or "text"
    rows = load(source, columns=columns, schema=_SCHEMAS[kind], skip_broken=skip_broken)
    return (rows if kind in MEDIA else rows.select_columns(["text"])), kind

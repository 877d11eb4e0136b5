"""From what the user names (a file, a folder, a dataset) to the opened files that contain the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data._blocks import Source
from nearfar.data._hints import close_name
from nearfar.data._hub import is_hub_id, of_dataset, open_hub, stream_hub
from nearfar.data.files import list_folder
from nearfar.data.formats import FORMATS, SENTENCES, format_of, open_file
from nearfar.data.media_folders import folder_rows
from nearfar.data.retrieval import is_retrieval_folder, pairs_of
from nearfar.data.saved import is_saved, open_saved
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

# Words in file names -> the split that they name.
_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
}


def open_sources(
    source: str | Path | Dataset, split: str, limit: int | None = None, *, streamed: bool = False
) -> tuple[Iterator[Source], Mapping[str, Any]]:
    """Open what `source` names, one file after the other.

    Args:
        source: A file, a folder, a hub id, or a dataset in memory, as for `nearfar.data.load`.
        split: The split of a hub dataset or of a folder.
        limit: Maximum number of rows to take from a dataset.
        streamed: Whether the rows of a hub dataset are read over the network instead of being downloaded first.

    Returns:
        The opened files or dataset, and the features of a hub dataset by column.

    Raises:
        InputError: There is no such source.
    """
    from datasets import Dataset

    if not isinstance(source, (str, Path)):
        opened, features = of_dataset("the dataset", source, limit)
        return iter([opened]), features
    text = str(source)
    if not text.strip():
        raise InputError("is empty", field="data", remedy="give a file, a folder or a hub id")
    if "://" in text:
        raise InputError("is a URL, not a file", file=text, remedy="download it, or give a hub id: user/name")
    path = Path(source).expanduser()
    if is_saved(path):
        stored = open_saved(path, split)
        opened, features = of_dataset(str(path), stored, limit)
        stored = stored if limit is None else stored.select(range(min(limit, len(stored))))
        return iter([replace(opened, stored=stored)]), features
    if is_retrieval_folder(path):
        opened, _ = of_dataset(str(path), pairs_of(path, split), limit)
        return iter([opened]), {}
    if path.is_dir():
        files = folder_rows(path, split)
        if files is not None:
            opened, _ = of_dataset(str(path), Dataset.from_dict(files), limit)
            return iter([opened]), {}
        return map(open_file, split_files(path, split)), {}
    if isinstance(source, str) and not path.exists() and not looks_like_file(text) and is_hub_id(text):
        opened, features = stream_hub(text, split) if streamed else open_hub(text, split, limit)
        return iter([opened]), features
    return map(open_file, [path]), {}


def split_files(folder: Path, split: str) -> list[Path]:
    """Return the files of a folder that contain the rows of a split, sorted by name.

    If no file name contains the name of a split (`part-0001.jsonl`), all files are returned.

    Raises:
        InputError: No readable file, no file of this split, or a file without a split beside
            files with one.
    """
    entries = list_folder(folder)
    files = [path for path in entries if path.is_file() and format_of(path) in FORMATS]
    # Beside tables, plain text is a note.
    files = files or [path for path in entries if path.is_file() and format_of(path) in SENTENCES]
    if not files:
        inner = next((path.name for path in entries if path.is_dir()), None)
        raise InputError(
            f"contains no file that ends in {', '.join(FORMATS)}, with or without .gz or .zst",
            file=folder,
            remedy=f"name the folder inside it: {folder / inner}" if inner else "name the folder with the data",
        )
    by_split: dict[str | None, list[Path]] = {}
    for path in files:
        by_split.setdefault(_split_in(path.name), []).append(path)
    if set(by_split) == {None}:
        return files
    if None in by_split:
        raise InputError(
            "has no split in its name, but other files in the folder have one (train, validation, test)",
            file=by_split[None][0],
            remedy="name a single file, or add the split to the name of every file",
        )
    wanted = _SPLITS.get(split.lower(), split)
    if wanted not in by_split:
        known = sorted(name for name in by_split if name)
        near = close_name(split, known)
        raise InputError(
            f"no file of the split {split!r}",
            file=folder,
            field="split",
            remedy=f"did you mean {near!r}?" if near else f"the splits are {', '.join(known)}",
        )
    return by_split[wanted]


def looks_like_file(text: str) -> bool:
    """Whether a source that does not exist was meant as a path rather than as a hub id."""
    return text.startswith(("/", ".", "~")) or text.count("/") != 1 or "\\" in text or format_of(Path(text)) in FORMATS


def _split_in(name: str) -> str | None:
    return next((_SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLITS), None)

"""From what the user names to the files that hold the rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from nearfar.data._arrow import open_parquet
from nearfar.data._blocks import Source
from nearfar.data._delimited import open_csv, open_tsv
from nearfar.data._hints import close_name
from nearfar.data._json import open_json, open_jsonl
from nearfar.data.files import check_file, list_folder
from nearfar.errors import InputError

FORMATS: dict[str, Callable[[Path], Source]] = {
    ".jsonl": open_jsonl,
    ".json": open_json,
    ".csv": open_csv,
    ".tsv": open_tsv,
    ".parquet": open_parquet,
}

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


def open_file(path: Path) -> Source:
    """Open a file by its suffix.

    Raises:
        InputError: It is missing, not a regular file, or of a format that is not known.
    """
    check_file(path)
    suffix = format_of(path)
    if suffix not in FORMATS:
        raise InputError(
            f"the suffix {suffix or path.suffix!r} is none of {', '.join(FORMATS)}, with or without .gz",
            file=path,
            remedy="convert the file, or name it by what it holds",
        )
    return FORMATS[suffix](path)


def format_of(path: Path) -> str:
    """Return the suffix that says what a file holds, `.gz` aside, in lower case."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def shards(folder: Path, split: str) -> list[Path]:
    """Return the files of a folder that hold the rows of a split, sorted by name.

    Files whose names speak of no split (`part-0001.jsonl`) are all taken, unless others' names do.

    Raises:
        InputError: Nothing readable, a retrieval folder, or no file of that split.
    """
    entries = list_folder(folder)
    files = [path for path in entries if path.is_file() and format_of(path) in FORMATS]
    if any(path.name in ("corpus.jsonl", "corpus.jsonl.gz") for path in files):
        raise InputError(
            "is a retrieval folder (it holds a corpus), not a table",
            file=folder,
            remedy="use it where a retrieval set is asked for, or name one of its files",
        )
    if not files:
        inner = next((path.name for path in entries if path.is_dir()), None)
        raise InputError(
            f"holds no file that ends in {', '.join(FORMATS)}, with or without .gz",
            file=folder,
            remedy=f"name the folder inside it: {folder / inner}" if inner else "name the folder that holds the data",
        )
    of_split: dict[str | None, list[Path]] = {}
    for path in files:
        of_split.setdefault(_split_in(path.name), []).append(path)
    if set(of_split) == {None}:
        return files
    if None in of_split:
        raise InputError(
            "some files name a split (train, validation, test) and this one does not",
            file=of_split[None][0],
            remedy="name the one file to read, or give every file's name its split",
        )
    wanted = _SPLITS.get(split.lower(), split)
    if wanted not in of_split:
        known = sorted(name for name in of_split if name)
        near = close_name(split, known)
        raise InputError(
            f"no file of the split {split!r}",
            file=folder,
            field="split",
            remedy=f"did you mean {near!r}?" if near else f"there is {', '.join(known)}",
        )
    return of_split[wanted]


def looks_like_file(text: str) -> bool:
    """Say whether a source that does not exist was meant as a path rather than as a hub id."""
    return text.startswith(("/", ".", "~")) or text.count("/") != 1 or "\\" in text or format_of(Path(text)) in FORMATS


def _split_in(name: str) -> str | None:
    return next((_SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLITS), None)

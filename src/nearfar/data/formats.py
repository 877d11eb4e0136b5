"""File formats of rows, by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nearfar.data._arrow import open_parquet
from nearfar.data._blocks import Source
from nearfar.data._delimited import open_csv, open_tsv
from nearfar.data._json import open_json, open_jsonl
from nearfar.data._plain import open_sentences
from nearfar.data.files import check_file, unpacked_name
from nearfar.errors import InputError

#: Suffixes of plain text, in which each line is a text.
SENTENCES = (".txt", ".text")
#: How a file is opened, by suffix.
FORMATS: dict[str, Callable[[Path], Source]] = {
    ".jsonl": open_jsonl,
    ".ndjson": open_jsonl,
    ".json": open_json,
    ".csv": open_csv,
    ".tsv": open_tsv,
    ".parquet": open_parquet,
}

_REMEDIES = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), "save the sheet as CSV"),
    **dict.fromkeys((".arrow", ".feather", ".orc", ".pkl", ".pickle", ".npy"), "write the rows as .parquet or .jsonl"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z", ".rar"), "unpack it"),
    **dict.fromkeys((".bz2", ".xz", ".lz4"), "unpack it, or compress it with gzip"),
}


def format_of(path: Path) -> str:
    """Return the suffix that tells the format of a file, in lower case; a final `.gz` or `.zst` is ignored."""
    return Path(unpacked_name(path).lower()).suffix


def open_file(path: Path) -> Source:
    """Open a file by its suffix.

    Raises:
        InputError: It is missing, not a regular file, or has an unknown suffix.
    """
    check_file(path)
    suffix = format_of(path)
    if suffix in SENTENCES:
        return open_sentences(path)
    if suffix not in FORMATS:
        raise InputError(
            f"unknown suffix {suffix or path.suffix!r}: must be one of {', '.join((*FORMATS, *SENTENCES))}, with or "
            "without .gz or .zst",
            file=path,
            remedy=_REMEDIES.get(suffix, "convert or rename the file"),
        )
    return FORMATS[suffix](path)

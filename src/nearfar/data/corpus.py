"""Reads the documents of a corpus file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nearfar.data.files import unpacked_name
from nearfar.errors import InputError


def read_corpus(
    file: str | Path, columns: Mapping[str, str] | None = None
) -> tuple[Sequence[str] | None, Sequence[str]]:
    """The ids (None: row numbers) and texts of a corpus file.

    A `corpus.jsonl` in BEIR format has ids and titles; any other file requires a column `text`.

    Raises:
        InputError: The file cannot be read, or a row has no text.
    """
    from nearfar.data.readers import load
    from nearfar.data.retrieval import load_corpus

    if unpacked_name(Path(file)) == "corpus.jsonl":
        if columns:
            problem = "the columns of corpus.jsonl are fixed by BEIR format"
            raise InputError(problem, file=file, field="--columns", remedy="remove --columns")
        documents = load_corpus(file)
        return list(documents), list(documents.values())
    return None, load(file, columns=columns, schema="sentences")["text"]

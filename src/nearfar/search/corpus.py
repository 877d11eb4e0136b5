"""Reading what a search runs over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nearfar.errors import InputError


def read_corpus(
    file: str | Path, columns: Mapping[str, str] | None = None
) -> tuple[Sequence[str] | None, Sequence[str]]:
    """Ids (None: row numbers) and texts of a corpus file.

    A `corpus.jsonl` in BEIR's layout has ids and titles; any other file needs a column `text`.

    Raises:
        InputError: The file cannot be read, or a row is not a text.
    """
    from nearfar.data import load, load_corpus

    if Path(file).name.removesuffix(".gz") == "corpus.jsonl":
        if columns:
            problem = "BEIR's layout fixes the columns of corpus.jsonl"
            raise InputError(problem, file=file, field="--columns", remedy="leave --columns out")
        documents = load_corpus(file)
        return list(documents), list(documents.values())
    return None, load(file, columns=columns, schema="sentences")["text"]

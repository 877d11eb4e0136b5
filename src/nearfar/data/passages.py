"""Passages of a corpus, each with the name of its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data.blanks import is_blank
from nearfar.data.retrieval import is_beir_corpus
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Passages", "load_passages"]

#: Columns that name the document of a passage, the first that a table has.
NAMES = ("document", "doc_id", "document_id", "title")


@dataclass(frozen=True)
class Passages:
    """The passages of a corpus.

    Args:
        rows: Columns `text` and `document`, a name.
        named_by: What names the documents, in words: a column, the file, or the row.
    """

    rows: Dataset
    named_by: str


def load_passages(source: str | Path, columns: Mapping[str, str] | None = None) -> Passages:
    """Read the passages of a corpus.

    Args:
        source: A table with a column `text`, and `document`, `doc_id`, `document_id` or `title` where a document has
            several passages; without any of these each row is a document. Or a `corpus.jsonl` in BEIR format, or its
            folder: entries with the same title are a document. Or plain text, a file or a folder of files: a blank line
            ends a passage, and the file is the document.
        columns: Canonical column name -> name in the file.

    Returns:
        The passages in the order of the corpus. Texts are memory-mapped beyond 256 MiB, except for BEIR format.

    Raises:
        InputError: The source cannot be read, or a passage is empty.
    """
    from datasets import Dataset, concatenate_datasets

    from nearfar.data.documents import load_documents, plain_files
    from nearfar.data.readers import columns_of, load

    path = Path(source).expanduser()
    if (corpus := _beir_file(path, columns)) is not None:
        return _beir_passages(corpus)
    if plain := plain_files(path):
        parts = [load_documents(file) for file in plain]
        return Passages(
            concatenate_datasets(
                [part.add_column("document", [file.name] * len(part)) for part, file in zip(parts, plain, strict=True)]  # pyright: ignore[reportCallIssue]
            ),
            "the file",
        )
    names = columns_of(source, columns=columns)
    found = next((name for name in NAMES if name in names), None)
    if found is None:
        rows = load(source, columns=columns, schema="sentences").select_columns(["text"])
        numbers = [str(row) for row in range(1, len(rows) + 1)]
        return Passages(rows.add_column("document", numbers), "the row")  # pyright: ignore[reportCallIssue]
    column = (columns or {}).get(found, found)
    mapping = {**(columns or {}), "document": column} if found != "document" else columns
    rows = load(source, columns=mapping, schema="passages").select_columns(["text", "document"])
    assert isinstance(rows, Dataset)
    return Passages(rows, f"the column {column!r}")


def _beir_file(path: Path, columns: Mapping[str, str] | None) -> Path | None:
    """The corpus of a BEIR-format dataset, given the file or the folder."""
    file = next(iter(sorted(path.glob("corpus.jsonl*"))), None) if path.is_dir() else path
    return file if file is not None and is_beir_corpus(file, columns) else None


def _beir_passages(file: Path) -> Passages:
    from datasets import Dataset

    from nearfar.data._json import objects
    from nearfar.data.retrieval import load_corpus

    corpus = load_corpus(file)
    titles = (str(row.get("title") or "") for _, row in objects(file))
    # BEIR allows entries without a text: nothing can be asked about them.
    found = [
        (text, title or key) for (key, text), title in zip(corpus.items(), titles, strict=True) if not is_blank(text)
    ]
    if not found:
        raise InputError("contains no text", file=file, remedy="fill the field text")
    texts, documents = zip(*found, strict=True)
    return Passages(Dataset.from_dict({"text": texts, "document": documents}), "the title, or the id without a title")

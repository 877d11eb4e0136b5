"""Reads the documents of a corpus file, which may be larger than memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from nearfar.data._blocks import ROWS
from nearfar.data.files import unpacked_name
from nearfar.errors import InputError


def read_corpus(
    file: str | Path, columns: Mapping[str, str] | None = None
) -> tuple[Sequence[str] | None, Sequence[str]]:
    """The ids (None: row numbers) and texts of a corpus file. Texts are memory-mapped beyond 256 MiB.

    A `corpus.jsonl` in BEIR format has ids and titles; any other file requires a column `text`.

    Raises:
        InputError: The file cannot be read, or a row has no text.
    """
    from nearfar.data.readers import load

    if unpacked_name(Path(file)) == "corpus.jsonl":
        if columns:
            problem = "the columns of corpus.jsonl are fixed by BEIR format"
            raise InputError(problem, file=file, field="--columns", remedy="remove --columns")
        return _beir_corpus(file)
    return None, load(file, columns=columns, schema="sentences")["text"]


def _beir_corpus(file: str | Path) -> tuple[list[str], Any]:
    from uuid import uuid4

    import pyarrow as pa
    from datasets import Dataset

    from nearfar.data._arrow import Gathered
    from nearfar.data.retrieval import corpus_entries

    gathered, ids = Gathered(), []
    entries = corpus_entries(file)
    while some := list(islice(entries, ROWS)):
        keys, texts = zip(*some, strict=True)
        ids.extend(keys)
        gathered.add(pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], ["text"]))
    return ids, Dataset(gathered.table(), fingerprint=uuid4().hex)["text"]

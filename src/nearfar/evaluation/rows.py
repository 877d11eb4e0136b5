"""Reads evaluation data: rows, or a BEIR-format dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval


def load_for_evaluation(
    source: str | Path | Dataset | Retrieval,
    columns: Mapping[str, str] | None = None,
    split: str = "test",
    *,
    skip_broken: bool = False,
    documents: bool = False,
) -> Dataset | Retrieval:
    """A BEIR-format dataset if `source` is a folder with a `corpus.jsonl`, otherwise rows.

    Args:
        source: A file, a folder of files, a Hub ID, a BEIR-format dataset; or the data itself.
        columns: Canonical column name -> name in the file; not for BEIR-format datasets.
        split: Split of a Hub dataset, of a folder with splits in its file names, or of a BEIR-format dataset.
        skip_broken: Skip broken files and empty turns, see `nearfar.data.load`.
        documents: Whether to read documents for a language model, including plain text.

    Raises:
        InputError: The data cannot be read, or its rows do not match their schema.
    """
    from nearfar.data import Retrieval, load, load_retrieval
    from nearfar.data.retrieval import is_retrieval_folder

    if isinstance(source, Retrieval):
        return source
    if documents:
        from nearfar.data.documents import load_documents

        return load_documents(source, columns=columns, split=split)
    if is_retrieval_folder(source):
        # `load_retrieval` looks for `test` first, but a folder may have only another split.
        return load_retrieval(source, None if split == "test" else split)
    return load(source, columns=columns, split=split, skip_broken=skip_broken)

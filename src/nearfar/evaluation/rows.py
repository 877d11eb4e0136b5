"""Reading what a model is measured on: rows, or a retrieval folder."""

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
    """A retrieval set where `source` is a folder with a `corpus.jsonl`, else rows.

    Args:
        source: A file, a folder of files, a hub id, a retrieval folder; or one of these read already.
        columns: Canonical column name -> name in the file; a retrieval folder has names of its own.
        split: Which split of a hub data set, of a folder whose file names carry splits, or of a retrieval folder.
        skip_broken: Leave out broken files and empty turns, see `nearfar.data.load`.
        documents: Read documents for a language model: plain text too.

    Raises:
        InputError: It cannot be read, or its rows are not what their schema asks for.
    """
    from nearfar.data import Retrieval, load, load_retrieval
    from nearfar.data.retrieval import is_retrieval_folder

    if isinstance(source, Retrieval):
        return source
    if documents:
        from nearfar.data.documents import load_documents

        return load_documents(source, columns=columns, split=split)
    if is_retrieval_folder(source):
        # `test` is what `load_retrieval` looks for first, but a folder may have another one alone.
        return load_retrieval(source, None if split == "test" else split)
    return load(source, columns=columns, split=split, skip_broken=skip_broken)

"""Reading what a model is measured on: rows, or a retrieval folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval


def load_for_evaluation(source: str | Path, columns: Mapping[str, str] | None = None) -> Dataset | Retrieval:
    """A retrieval set where `source` is a folder with a `corpus.jsonl`, else rows.

    Raises:
        InputError: It cannot be read, or its rows are not what their schema asks for.
    """
    from nearfar.data import load, load_retrieval

    folder = Path(source).expanduser()
    if folder.is_dir() and any(folder.glob("corpus.jsonl*")):
        return load_retrieval(folder)
    return load(source, columns=columns)

"""Texts per second of an encoder, and the texts to measure it on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data import Retrieval

__all__ = ["TIMED", "texts_of", "texts_per_second"]

#: Maximum number of texts whose encoding is timed, and of seconds for each model.
TIMED, SECONDS = 1024, 10.0
#: Texts in one call of the timed model.
CHUNK = 64


def texts_of(rows: Dataset | Retrieval, most: int = TIMED) -> list[str]:
    """The first distinct texts of evaluation data: documents, or the text columns of rows."""
    from nearfar.data.retrieval import Retrieval
    from nearfar.data.schemas import fitting, text_columns

    if isinstance(rows, Retrieval):
        return list(dict.fromkeys(rows.corpus.values()))[:most]
    names = text_columns(fitting(rows.column_names), rows.column_names)
    return list(dict.fromkeys(text for name in names for text in rows[name][:most]))[:most]


def texts_per_second(model: SentenceTransformer, texts: list[str]) -> float:
    """How many texts a model encodes in a second, after one batch to warm up."""
    model.encode(texts[:CHUNK], show_progress_bar=False)
    started, done = time.perf_counter(), 0
    while done < len(texts) and time.perf_counter() - started < SECONDS:
        done += len(model.encode(texts[done : done + CHUNK], show_progress_bar=False))
    return done / (time.perf_counter() - started)

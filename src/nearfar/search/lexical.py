"""Search by words (BM25), through the library bm25s.

Robertson, Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond. Lù 2024, BM25S (arXiv 2407.03618).
Words are lower-cased; there are no stop words and no stemming, which would be those of one language.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import InputError
from nearfar.search.beside import checked, made_beside

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["LexicalIndex", "open_lexical"]

#: A word, or one character of a script that is written without spaces (kana, Han).
_WORD = r"(?u)[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+"


class LexicalIndex:
    """The words of all documents, memory-mapped.

    Args:
        retriever: An opened `bm25s.BM25`.
        count: Number of documents.
    """

    def __init__(self, retriever: Any, count: int) -> None:
        self._retriever, self._count = retriever, count

    def nearest(
        self, queries: Sequence[str], k: int, allowed: Bool[np.ndarray, " n"] | None = None
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """The k documents with the highest BM25 scores.

        Args:
            queries: The queries.
            k: Number of documents.
            allowed: Which documents may be found; None: all.

        Returns:
            Row numbers from 0, and scores; -1 and -inf where no further document has a word of the query.
        """
        rows = np.full((len(queries), min(k, self._count)), -1, dtype=np.int64)
        scores = np.full(rows.shape, -np.inf, dtype=np.float32)
        known = self._retriever.vocab_dict
        for at, words in enumerate(_words(queries)):
            words = [word for word in words if word in known]
            if not words:
                continue
            mask = None if allowed is None else allowed.astype(np.float32)
            found, of = self._retriever.retrieve([words], k=rows.shape[1], show_progress=False, weight_mask=mask)
            good = of[0] > 0
            rows[at, good], scores[at, good] = found[0][good], of[0][good]
        return rows, scores


def open_lexical(folder: Path, texts: Any, count: int) -> LexicalIndex:
    """Open the words of an index; they are read from its texts when it is first searched by words.

    Args:
        folder: The folder of the words.
        texts: The documents, an Arrow column.
        count: Their number.

    Raises:
        InputError: bm25s is not installed, or its files are damaged.
    """
    try:
        import bm25s
    except ImportError as error:
        raise InputError("requires bm25s", field="--hybrid", remedy='pip install "nearfar[search]"') from error

    def make(unfinished: Path) -> None:
        retriever = bm25s.BM25()
        retriever.index(_words(texts.to_pylist()), show_progress=False)
        retriever.save(str(unfinished), show_progress=False)

    made_beside(folder, make)
    retriever = bm25s.BM25.load(str(checked(folder)), mmap=True, allow_pickle=False, show_progress=False)
    return LexicalIndex(retriever, count)


def _words(texts: Sequence[str]) -> list[list[str]]:
    import bm25s

    # An empty list of stop words, not None, which would be replaced by those of English.
    return bm25s.tokenize(  # pyright: ignore[reportReturnType]
        list(texts), token_pattern=_WORD, stopwords=[], return_ids=False, show_progress=False
    )

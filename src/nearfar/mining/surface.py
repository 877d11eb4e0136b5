"""Surface similarity of texts: the words they share, regardless of meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from sklearn.feature_extraction.text import CountVectorizer

__all__ = ["Surface", "SurfaceName", "jaccard", "levenshtein", "surface_of"]

SurfaceName = Literal["jaccard", "idf", "levenshtein"]

#: From row numbers of anchors (b,) and of their candidates (b, k) to similarities (b, k) in [0, 1].
Surface = Callable[["Int[np.ndarray, ' b']", "Int[np.ndarray, 'b k']"], "Float[np.ndarray, 'b k']"]

# A word is a run of letters and digits, in lower case; in scripts without spaces, words are long.
_WORD = r"(?u)\b\w+\b"
# Pairs per batch of edit distances.
_PAIRS = 1024


def surface_of(name: SurfaceName, texts: Sequence[str]) -> Surface:
    """A surface similarity by name: `jaccard`, `idf` (Jaccard with rare words weighted higher) or `levenshtein`.

    Raises:
        InputError: No text contains a word.
    """
    return levenshtein(texts) if name == "levenshtein" else jaccard(texts, idf=name == "idf")


def jaccard(texts: Sequence[str], idf: bool = False) -> Surface:
    """Jaccard similarity of the sets of words: |A & B| / |A | B|; 1 if neither text has a word.

    Args:
        texts: The corpus that row numbers refer to.
        idf: Weight each word by its inverse document frequency, log((1 + n) / (1 + df)) + 1, so that frequent words
            do not make two texts similar.

    Raises:
        InputError: No text contains a word.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    counter = _counter(binary=True)
    held: Any = counter.fit_transform(_with_words(texts))
    weight: Any = TfidfTransformer().fit(held).idf_ if idf else np.ones(held.shape[1])
    # With sqrt(w) on both sides, the product is w.
    root, total = held.multiply(np.sqrt(weight)).tocsr(), held @ weight

    def similarity(rows: Int[np.ndarray, " b"], candidates: Int[np.ndarray, "b k"]) -> Float[np.ndarray, "b k"]:
        first, second = np.repeat(rows, candidates.shape[1]), candidates.reshape(-1)
        both = np.asarray(root[first].multiply(root[second]).sum(axis=1)).reshape(-1)
        either = total[first] + total[second] - both
        shared = np.divide(both, either, out=np.ones_like(both), where=either > 0)
        # Rounding may give values just above 1.
        return shared.clip(0, 1).reshape(candidates.shape)

    return similarity


def levenshtein(texts: Sequence[str], limit: int = 64) -> Surface:
    """Word-level Levenshtein similarity: 1 - (insertions + deletions + replacements) / (words of the longer text).

    Args:
        texts: The corpus that row numbers refer to.
        limit: Maximum number of words, at most 10,000; longer texts are truncated. Time per pair is quadratic in it.

    Raises:
        InputError: No text contains a word.
    """
    if not 1 <= limit <= 10_000:
        raise ValueError(f"limit must be 1 to 10,000, got {limit}")
    counter = _counter()
    counter.fit(_with_words(texts))
    words = [[counter.vocabulary_[word] for word in counter.build_analyzer()(text)[:limit]] for text in texts]
    lengths = np.array([len(each) for each in words])
    ids = np.zeros((len(texts), max(1, int(lengths.max()))), dtype=np.int32)
    ids[np.arange(ids.shape[1]) < lengths[:, None]] = list(chain.from_iterable(words))

    def similarity(rows: Int[np.ndarray, " b"], candidates: Int[np.ndarray, "b k"]) -> Float[np.ndarray, "b k"]:
        first, second = np.repeat(rows, candidates.shape[1]), candidates.reshape(-1)
        longer = np.maximum(lengths[first], lengths[second])
        # Batches of pairs of similar length, small enough that their tables stay in the CPU's cache.
        order = np.argsort(longer, kind="stable")
        edits = np.zeros(len(order))
        for chosen in np.split(order, range(_PAIRS, len(order), _PAIRS)):
            a, b = first[chosen], second[chosen]
            edits[chosen] = _edits(ids[a], ids[b], lengths[a], lengths[b])
        return (1 - edits / np.maximum(longer, 1)).reshape(candidates.shape)

    return similarity


def _counter(binary: bool = False) -> CountVectorizer:
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(token_pattern=_WORD, binary=binary)


def _edits(
    a: Int[np.ndarray, "p l"],
    b: Int[np.ndarray, "p l"],
    a_length: Int[np.ndarray, " p"],
    b_length: Int[np.ndarray, " p"],
) -> Int[np.ndarray, " p"]:
    """Levenshtein distances of p pairs at once, computed row by row of the table."""
    a, b = a[:, : a_length.max(initial=0)], b[:, : b_length.max(initial=0)]
    pairs, columns = np.arange(len(a)), np.arange(b.shape[1] + 1, dtype=np.int16)
    table = np.tile(columns, (len(a), 1))
    edits = b_length.copy()
    for i in range(1, a.shape[1] + 1):
        below = np.minimum(table[:, 1:] + 1, table[:, :-1] + (a[:, i - 1, None] != b), dtype=np.int16)
        table[:, 0], table[:, 1:] = i, below
        # A step to the right costs 1: the minimum of all entries to the left, each plus its distance.
        table -= columns
        np.minimum.accumulate(table, axis=1, out=table)
        table += columns
        edits = np.where(a_length == i, table[pairs, b_length], edits)
    return edits


def _with_words(texts: Sequence[str]) -> Sequence[str]:
    if not any(re.search(_WORD, text) for text in texts):
        raise InputError("no text contains a word", field="text", remedy="use sentences")
    return texts

"""How much two texts share on the surface: their words, whatever these mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from sklearn.feature_extraction.text import CountVectorizer

__all__ = ["Surface", "jaccard", "levenshtein"]

#: From row numbers of anchors (b,) and of their candidates (b, k) to similarities (b, k) in [0, 1].
Surface = Callable[["Int[np.ndarray, ' b']", "Int[np.ndarray, 'b k']"], "Float[np.ndarray, 'b k']"]

# A word is a run of letters and digits, in lower case; scripts without spaces come out as long words.
_WORD = r"(?u)\b\w+\b"
# Pairs whose edits are counted at a time.
_PAIRS = 1024


def jaccard(texts: Sequence[str], idf: bool = False) -> Surface:
    """Words in common over words in either: |A & B| / |A | B|, 1 where neither has a word.

    Args:
        texts: The corpus that row numbers refer to.
        idf: Each word counts by its inverse document frequency, log((1 + n) / (1 + df)) + 1, in both sums, so that
            frequent words do not make two texts alike.

    Raises:
        InputError: no text holds a word.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    counter = _counter(binary=True)
    held: Any = counter.fit_transform(_with_words(texts))
    weight: Any = TfidfTransformer().fit(held).idf_ if idf else np.ones(held.shape[1])
    # With sqrt(w) on both sides a product is w.
    root, total = held.multiply(np.sqrt(weight)).tocsr(), held @ weight

    def similarity(rows: Int[np.ndarray, " b"], candidates: Int[np.ndarray, "b k"]) -> Float[np.ndarray, "b k"]:
        first, second = np.repeat(rows, candidates.shape[1]), candidates.reshape(-1)
        both = np.asarray(root[first].multiply(root[second]).sum(axis=1)).reshape(-1)
        either = total[first] + total[second] - both
        shared = np.divide(both, either, out=np.ones_like(both), where=either > 0)
        # Sums of roots may round to just above 1.
        return shared.clip(0, 1).reshape(candidates.shape)

    return similarity


def levenshtein(texts: Sequence[str], limit: int = 64) -> Surface:
    """Share of words that stay: 1 - (insertions, deletions, replacements of words) / (words of the longer text).

    Args:
        texts: The corpus that row numbers refer to.
        limit: Words after which a text is cut, at most 10,000; the time a pair takes grows with its square.

    Raises:
        InputError: no text holds a word.
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
        # Pairs of like length together, and few enough that their tables stay in the cache.
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
    """Levenshtein's distance of p pairs at once, one row of the table after another."""
    a, b = a[:, : a_length.max(initial=0)], b[:, : b_length.max(initial=0)]
    pairs, columns = np.arange(len(a)), np.arange(b.shape[1] + 1, dtype=np.int16)
    table = np.tile(columns, (len(a), 1))
    edits = b_length.copy()
    for i in range(1, a.shape[1] + 1):
        below = np.minimum(table[:, 1:] + 1, table[:, :-1] + (a[:, i - 1, None] != b), dtype=np.int16)
        table[:, 0], table[:, 1:] = i, below
        # A step to the right costs 1: the least of all entries to the left, each plus its distance.
        table -= columns
        np.minimum.accumulate(table, axis=1, out=table)
        table += columns
        edits = np.where(a_length == i, table[pairs, b_length], edits)
    return edits


def _with_words(texts: Sequence[str]) -> Sequence[str]:
    if not any(re.search(_WORD, text) for text in texts):
        raise InputError("no text holds a word", field="text", remedy="give sentences")
    return texts

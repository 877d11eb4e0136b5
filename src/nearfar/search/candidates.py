"""Candidates for the negatives of queries: the documents nearest to each, scored by an encoder or by a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nearfar.mining.hard_negatives import positives_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.search.judge import Judge
    from nearfar.search.pool import Pool

__all__ = ["Asked", "Candidates", "find_candidates"]

# Queries whose candidates a judge scores at a time: what an interruption loses.
_JUDGED = 64


@dataclass(frozen=True, eq=False)
class Asked:
    """The different queries of pairs.

    Args:
        queries: In the order of their first rows.
        positives: Numbers of the positives of each.
        itself: The number of the document that equals each query and is none of its positives; None without one.
        most: The largest number of rows with one query.
    """

    queries: list[str]
    positives: list[list[int]]
    itself: list[int | None]
    most: int

    @classmethod
    def of(cls, anchors: Sequence[str], positives: Sequence[str], pool: Pool) -> Asked:
        """The queries of pairs whose positives are all in a pool."""
        numbers = pool.numbers(positives)
        right = positives_of(anchors, numbers)
        counts: dict[str, int] = {}
        for anchor in anchors:
            counts[anchor] = counts.get(anchor, 0) + 1
        itself = [None if (number := pool.find(query)) in of else number for query, of in right.items()]
        return cls(list(right), [list(of) for of in right.values()], itself, max(counts.values()))


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of some queries, nearest first.

    Args:
        numbers: Numbers of documents.
        scores: Their scores; -inf where there is no document, or one that is never a negative: a positive.
        positives: The score of each positive, by its number, of each query.
    """

    numbers: Int[np.ndarray, "q k"]
    scores: Float[np.ndarray, "q k"]
    positives: list[dict[int, float]]

    @property
    def lowest(self) -> Float[np.ndarray, " q"]:
        """The lowest score of each query's positives."""
        return np.array([min(of.values()) for of in self.positives], dtype=np.float32)


def find_candidates(
    asked: Asked,
    rows: range,
    vectors: Float[np.ndarray, "q d"],
    pool: Pool,
    depth: int,
    judge: Judge | None = None,
) -> Candidates:
    """The candidates of some queries.

    Args:
        asked: All queries.
        rows: Which of them.
        vectors: Their vectors.
        pool: The documents.
        depth: Number of documents per query, positives among them.
        judge: Scores the candidates and positives instead of the encoder.
    """
    numbers, scores = _nearest(vectors, [asked.itself[row] for row in rows], pool, depth)
    right = [asked.positives[row] for row in rows]
    positive = np.zeros(numbers.shape, dtype=bool)
    for at, of in enumerate(right):
        positive[at] = np.isin(numbers[at], of)
    usable = ~positive & (numbers >= 0)
    owners = np.repeat(np.arange(len(rows)), [len(of) for of in right])
    every = np.array([number for of in right for number in of])
    if judge is None:
        own = np.einsum("nd,nd->n", vectors[owners], pool.vectors(every))
    else:
        own, scores = _judged(judge, [asked.queries[row] for row in rows], pool, (owners, every), numbers, usable)
    of_query: list[dict[int, float]] = [{} for _ in rows]
    for at, number, score in zip(owners.tolist(), every.tolist(), own.tolist(), strict=True):
        of_query[at][number] = score
    return Candidates(numbers, np.where(usable, scores, -np.inf).astype(np.float32), of_query)


def _nearest(
    vectors: np.ndarray, itself: Sequence[int | None], pool: Pool, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest documents of each query, except the query itself."""
    own = np.array([-2 if number is None else number for number in itself])[:, None]
    numbers, scores = pool.nearest(vectors, depth + int((own >= 0).any()))
    order = np.argsort(numbers == own, axis=1, kind="stable")
    numbers, scores = np.take_along_axis(numbers, order, 1), np.take_along_axis(scores, order, 1)
    numbers = np.where(numbers == own, -1, numbers)
    return numbers[:, :depth], scores[:, :depth]


def _judged(
    judge: Judge,
    queries: Sequence[str],
    pool: Pool,
    positives: tuple[np.ndarray, np.ndarray],
    numbers: np.ndarray,
    usable: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The judge's scores of pairs (query, positive), and of all usable candidates."""
    owners, right = positives
    own = np.empty(len(right), dtype=np.float32)
    scores = np.full(numbers.shape, -np.inf, dtype=np.float32)
    for start in range(0, len(queries), _JUDGED):
        stop = start + _JUDGED
        pairs = np.flatnonzero((owners >= start) & (owners < stop))
        at, columns = np.nonzero(usable[start:stop])
        of = np.concatenate([owners[pairs], at + start])
        documents = np.concatenate([right[pairs], numbers[at + start, columns]])
        asked: list[int] = of.tolist()
        found = judge.score([queries[row] for row in asked], [pool.text(number) for number in documents.tolist()])
        own[pairs], scores[at + start, columns] = found[: len(pairs)], found[len(pairs) :]
    return own, scores

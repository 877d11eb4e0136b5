"""Joins rankings of the same documents.

Cormack, Clarke, Büttcher 2009, Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning Methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["fused"]

#: The paper's constant: how little the first ranks count more than the next ones.
_RANKS = 60


def fused(
    rankings: Sequence[Int[np.ndarray, "q _"]], k: int
) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """The k documents with the highest sum of 1 / (60 + rank) over all rankings.

    Args:
        rankings: Row numbers of documents, best first, for the same queries; -1: no document.
        k: Number of documents.

    Returns:
        Row numbers, those of the first ranking first where sums are equal, and sums; -1 and -inf if there are fewer.
    """
    queries = len(rankings[0])
    rows, scores = np.full((queries, k), -1, dtype=np.int64), np.full((queries, k), -np.inf, dtype=np.float32)
    for query in range(queries):
        sums: dict[int, float] = {}
        for ranking in rankings:
            for rank, row in enumerate(ranking[query].tolist(), start=1):
                if row >= 0:
                    sums[row] = sums.get(row, 0.0) + 1 / (_RANKS + rank)
        best = sorted(sums.items(), key=lambda item: -item[1])[:k]
        rows[query, : len(best)] = [row for row, _ in best]
        scores[query, : len(best)] = [score for _, score in best]
    return rows, scores

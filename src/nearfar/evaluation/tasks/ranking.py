"""Ranking: does the model put the relevant candidates of each query first?"""

from __future__ import annotations

import numpy as np
from datasets import Dataset
from jaxtyping import Float

from nearfar.errors import InputError
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.models.abilities import Scores

__all__ = ["dcg", "measure"]

#: Number of ranks that count.
TOP = 10


def measure(model: Scores, data: Dataset, asked: Asked) -> Result:
    """nDCG@10 (primary) and MRR@10 of each query's own candidates, ranked by the model's scores.

    Gains are the scores of the rows; scores below 0 count as 0. A candidate is relevant if its score is above 0.
    Candidates with equal model scores share the mean discount of their ranks, so their order in the file does not
    matter. Queries without a relevant candidate are skipped, and counted in a note.

    Args:
        model: Scores pairs (query, candidate).
        data: Columns `query`, `candidates` (texts) and `scores` (as many numbers).
        asked: How to evaluate.

    Raises:
        InputError: No query has both a relevant candidate and another one.
    """
    rows = [
        (row, query, list(candidates), np.maximum(np.asarray(gains, dtype=np.float64), 0))
        for row, (query, candidates, gains) in enumerate(
            zip(data["query"], data["candidates"], data["scores"], strict=True), start=1
        )
    ]
    for row, _, candidates, gains in rows:
        if len(candidates) != len(gains):
            raise InputError(f"row {row}: expected {len(candidates)} scores, got {len(gains)}", field="scores")
    kept = [(query, candidates, gains) for _, query, candidates, gains in rows if gains.any() and len(gains) > 1]
    if not kept:
        raise InputError("no query has both a relevant and another candidate", field="scores", remedy="add such rows")
    first = [query for query, candidates, _ in kept for _ in candidates]
    second = [candidate for _, candidates, _ in kept for candidate in candidates]
    scores = model.score_pairs(first, second, batch_size=asked.batch_size)
    ndcg, reciprocal, start = [], [], 0
    for _, candidates, gains in kept:
        own = scores[start : start + len(candidates)]
        start += len(candidates)
        ndcg.append(dcg(own, gains) / dcg(gains, gains))
        reciprocal.append(_reciprocal_rank(own, gains > 0))
    per_item = {"ndcg@10": np.array(ndcg), "mrr@10": np.array(reciprocal)}
    dropped = len(rows) - len(kept)
    notes = (f"{dropped} queries without both a relevant and another candidate are skipped",) if dropped else ()
    return Result(
        "ranking",
        "ndcg@10",
        {name: float(values.mean()) for name, values in per_item.items()},
        n=len(kept),
        per_item=per_item,
        notes=notes,
        interval=bootstrap_mean(per_item["ndcg@10"], seed=asked.seed) if len(kept) > 1 else None,
    )


def dcg(scores: Float[np.ndarray, " m"], gains: Float[np.ndarray, " m"]) -> float:
    """Discounted cumulative gain at 10, averaged over all orders of candidates with equal scores."""
    discount = np.zeros(len(scores))
    discount[:TOP] = 1 / np.log2(np.arange(2, min(TOP, len(scores)) + 2))
    total, rank = 0.0, 0
    for value in np.unique(scores)[::-1]:
        tied = scores == value
        total += float(gains[tied].sum() * discount[rank : rank + int(tied.sum())].mean())
        rank += int(tied.sum())
    return total


def _reciprocal_rank(scores: Float[np.ndarray, " m"], relevant: np.ndarray) -> float:
    """1 / rank of the first relevant candidate, ranked after all ties; 0 beyond the tenth."""
    best = scores[relevant].max()
    rank = 1 + int((scores[~relevant] >= best).sum())
    return 1 / rank if rank <= TOP else 0.0

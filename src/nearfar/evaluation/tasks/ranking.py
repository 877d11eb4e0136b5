"""Ranking: does the model put the relevant candidates of each query first?"""

from __future__ import annotations

import time

import numpy as np
from datasets import Dataset
from jaxtyping import Float

from nearfar.errors import InputError
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import discounted_gain, ranks_of, reciprocal_rank
from nearfar.models.abilities import Scores

__all__ = ["dcg", "measure"]

#: Number of ranks that count.
TOP = 10


def measure(model: Scores, data: Dataset, asked: Asked) -> Result:
    """nDCG@10 (primary) and MRR@10 of each query's own candidates, ranked by the model's scores.

    Gains are the scores of the rows, those below 0 count as 0; a candidate is relevant where its score is above 0.
    Both are means over all orders of candidates of equal score, so that their order in the file decides nothing; a note
    counts such queries. Queries without a relevant candidate are not measured, and counted in a note.

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
    started = time.perf_counter()
    scores = model.score_relevance(first, second, batch_size=asked.batch_size)
    seconds = time.perf_counter() - started
    ndcg, reciprocal, guessed, start, tied = [], [], [], 0, 0
    for _, candidates, gains in kept:
        own = scores[start : start + len(candidates)]
        start += len(candidates)
        ranks = ranks_of(own, gains > 0)
        ndcg.append(dcg(own, gains) / dcg(gains, gains))
        # Where all scores are equal, the gain is the mean over all orders.
        guessed.append(dcg(np.zeros(len(gains)), gains) / dcg(gains, gains))
        reciprocal.append(float(reciprocal_rank(ranks, TOP).max()))
        tied += bool(((ranks.tied > ranks.relevant_tied) & (ranks.above < TOP)).any())
    per_item = {"ndcg@10": np.array(ndcg), "mrr@10": np.array(reciprocal)}
    dropped = len(rows) - len(kept)
    notes = (f"{dropped} queries without both a relevant and another candidate are skipped",) if dropped else ()
    if tied:
        what = f"in {tied} of {len(kept)} queries a relevant candidate has the same score as others"
        notes += (f"{what}: metrics are averaged over all orders of ties",)
    return Result(
        "ranking",
        "ndcg@10",
        {name: float(values.mean()) for name, values in per_item.items()},
        n=len(kept),
        per_item=per_item,
        notes=notes,
        interval=bootstrap_mean(per_item["ndcg@10"], seed=asked.seed) if len(kept) > 1 else None,
        ms_per_query={"scoring": 1000 * seconds / len(kept)},
        chance=Chance(*[float(np.mean(guessed))] * 2),
    )


def dcg(scores: Float[np.ndarray, " m"], gains: Float[np.ndarray, " m"]) -> float:
    """Discounted cumulative gain at 10, averaged over all orders of candidates with equal scores."""
    relevant = gains > 0
    return float(gains[relevant] @ discounted_gain(ranks_of(scores, relevant), TOP)) if relevant.any() else 0.0

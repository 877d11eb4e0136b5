"""Semantic textual similarity: does the model rank pairs in the same order as the given scores?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from datasets import Dataset
from scipy.stats import pearsonr, spearmanr

from nearfar.errors import InputError
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.models.abilities import Scores
from nearfar.models.encoding import check_texts


def measure(model: Scores, data: Dataset, asked: Asked) -> Result:
    """See `measure_sts`."""
    columns = (data[name][:] for name in ("sentence1", "sentence2", "score"))
    return measure_sts(model, *columns, batch_size=asked.batch_size)


def measure_sts(
    model: Scores,
    sentences1: Sequence[str],
    sentences2: Sequence[str],
    scores: Sequence[float],
    *,
    batch_size: int = 64,
) -> Result:
    """Spearman's (primary) and Pearson's correlation between the model's similarity and the given scores.

    If a model gives every pair the same similarity, its correlations are undefined: they are NaN, and there is a note.

    Raises:
        InputError: There are fewer than three pairs, a score is not a finite number, or all scores are equal.
    """
    gold = _gold(scores)
    check_texts(sentences1, field="sentence1")
    check_texts(sentences2, field="sentence2")
    similarity = model.score_pairs(list(sentences1), list(sentences2), batch_size=batch_size).astype(np.float64)
    with warnings.catch_warnings():
        # The warning of scipy about constant input; the notes say it instead.
        warnings.filterwarnings("ignore", message="An input array is constant")
        metrics = {
            "spearman": float(spearmanr(gold, similarity)[0]),  # pyright: ignore[reportArgumentType]
            "pearson": float(pearsonr(gold, similarity)[0]),  # pyright: ignore[reportArgumentType]
        }
    notes = () if np.ptp(similarity) else ("the model gives every pair the same similarity: no correlation is defined",)
    return Result(
        task="sts",
        primary="spearman",
        metrics=metrics,
        n=len(gold),
        per_item={"similarity": similarity, "score": gold},
        notes=notes,
        chance=Chance(0.0, 0.0),
    )


def _gold(scores: Sequence[float]) -> np.ndarray:
    for row, score in enumerate(scores, start=1):
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not np.isfinite(score):
            raise InputError(f"row {row}: expected a finite number, got {score!r}", field="score")
    if len(scores) < 3:
        raise InputError(f"expected at least 3 pairs for a correlation, got {len(scores)}", remedy="add rows")
    gold = np.asarray(scores, dtype=np.float64)
    if not np.ptp(gold):
        raise InputError(f"expected different scores to rank, got only {gold[0]:g}", field="score")
    return gold

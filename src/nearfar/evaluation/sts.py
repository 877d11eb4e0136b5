"""Semantic textual similarity: do the model's similarities rank pairs as people do?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

from nearfar.errors import InputError
from nearfar.evaluation.result import Result
from nearfar.models.encoding import check_texts, require_finite


def measure_sts(
    model: SentenceTransformer,
    sentences1: Sequence[str],
    sentences2: Sequence[str],
    scores: Sequence[float],
    *,
    batch_size: int = 64,
) -> Result:
    """Spearman's (primary) and Pearson's correlation between the model's own similarity and the scores given.

    A model that answers every pair with one and the same similarity ranks nothing; its correlations are undefined, so
    they are NaN and a note says so.

    Raises:
        InputError: Fewer than three pairs, a score that is no finite number, or scores that are all equal.
    """
    gold = _gold(scores)
    check_texts(sentences1, field="sentence1")
    check_texts(sentences2, field="sentence2")
    evaluator = _Recording(
        list(sentences1),
        list(sentences2),
        gold.tolist(),
        batch_size=batch_size,
        write_csv=False,
        show_progress_bar=False,
    )
    with warnings.catch_warnings():
        # scipy's warning on constant input: said in the notes instead.
        warnings.filterwarnings("ignore", message="An input array is constant")
        found = evaluator(model)
    name = model.similarity_fn_name
    first, second = evaluator.vectors
    similarity = model.similarity_pairwise(first, second).double().cpu().numpy()
    notes = () if np.ptp(similarity) else ("the model gives every pair the same similarity: no correlation exists",)
    return Result(
        task="sts",
        primary="spearman",
        metrics={metric: float(found[f"{metric}_{name}"]) for metric in ("spearman", "pearson")},
        n=len(gold),
        per_item={"similarity": similarity, "score": gold},
        notes=notes,
    )


def _gold(scores: Sequence[float]) -> np.ndarray:
    for row, score in enumerate(scores, start=1):
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not np.isfinite(score):
            raise InputError(f"row {row} holds {score!r}, which is no finite number", field="score")
    if len(scores) < 3:
        raise InputError(f"a correlation needs at least 3 pairs, and there are {len(scores)}", remedy="add rows")
    gold = np.asarray(scores, dtype=np.float64)
    if not np.ptp(gold):
        raise InputError(f"every score is {gold[0]:g}, so nothing can be ranked", field="score")
    return gold


class _Recording(EmbeddingSimilarityEvaluator):
    """Keeps the vectors, so that a pair's similarity costs no second encoding."""

    vectors: list[Any]

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        self.vectors = []
        return super().__call__(*args, **kwargs)

    def embed_inputs(self, model: SentenceTransformer, sentences: Any, **kwargs: Any) -> np.ndarray:
        vectors = super().embed_inputs(model, sentences, **kwargs)
        require_finite(vectors)
        self.vectors.append(vectors)
        return vectors

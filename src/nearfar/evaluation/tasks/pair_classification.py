"""Pair classification: how well a threshold on the similarity separates positive from negative pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int


class BestF1(NamedTuple):
    """The best F1 over all thresholds, with the values at that threshold."""

    f1: float
    threshold: float
    precision: float
    recall: float


def best_f1(scores: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> BestF1:
    """The highest F1 of any threshold on `scores`; a pair is positive if its score is at least the threshold.

    With equal numbers of positive and negative pairs, calling all of them positive already gives 2/3.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(labels, scores)
    # The last point of the curve (precision 1, recall 0) has no threshold.
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / (precision + recall + 1e-8)
    best = int(np.argmax(f1))
    return BestF1(float(f1[best]), float(thresholds[best]), float(precision[best]), float(recall[best]))


def similarity_ratio(scores: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> float:
    """|mean score of positive pairs / mean score of negative pairs|."""
    import numpy as np

    scores, together = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    return abs(float(scores[together].mean() / scores[~together].mean()))

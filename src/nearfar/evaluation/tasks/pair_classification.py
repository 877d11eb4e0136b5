"""How well one threshold on the similarity tells pairs that belong together from pairs that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int


class BestF1(NamedTuple):
    """The best F1 of all thresholds, and what holds there."""

    f1: float
    threshold: float
    precision: float
    recall: float


def best_f1(scores: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> BestF1:
    """The highest F1 that a threshold on `scores` reaches, "together" where a score is at least the threshold.

    With as many pairs of either kind, calling all of them "together" gives 2/3 already.
    """
    import numpy as np
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(labels, scores)
    # The curve's last point (precision 1, recall 0) belongs to no threshold.
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / (precision + recall + 1e-8)
    best = int(np.argmax(f1))
    return BestF1(float(f1[best]), float(thresholds[best]), float(precision[best]), float(recall[best]))


def similarity_ratio(scores: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"]) -> float:
    """|mean score of pairs that belong together / mean score of those that do not|."""
    import numpy as np

    scores, together = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=bool)
    return abs(float(scores[together].mean() / scores[~together].mean()))

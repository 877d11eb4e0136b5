"""Labels: does the model give high scores to the labels of a text, frequent ones and rare ones?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.models.abilities import Scores

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

__all__ = ["BUCKETS", "average_precision", "buckets", "measure", "score_labels"]

#: Buckets of labels, from frequent to rare; each has about the same number of occurrences.
BUCKETS = 5
#: Texts that are scored at a time.
_AT_ONCE = 256


def measure(model: Scores, data: Dataset, asked: Asked) -> Result:
    """Average precision over labels (`ap_macro`, primary), over all cells (`ap_micro`), and in buckets of labels.

    Every label text in the data is scored for every text. `ap_macro` is the mean over labels of the average precision
    with which the label ranks the texts, `ap_1` to `ap_5` its mean over buckets of labels from frequent to rare, each
    with about a fifth of all occurrences. `ap_micro` ranks all pairs together, so that it also needs scores that are
    comparable between labels. `brier` is the mean over labels of the squared error of probabilities, if the model gives
    any. `per_item` has one value per label, the most frequent one first.

    Args:
        model: A model that scores pairs of texts, here of a text and a label.
        data: Columns `text` and `labels`.
        asked: How to evaluate.

    Raises:
        InputError: There are fewer than two labels.

    Source: the metrics of Rethmeier, Augenstein 2020, CLESS (arXiv 2010.01061).
    """
    rows = [set(labels) for labels in data["labels"]]
    counts = Counter(label for row in rows for label in row)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    if len(names) < 2:
        raise InputError(f"expected at least 2 labels, got {len(names)}", field="labels")
    scores = score_labels(model, data["text"][:], names, batch_size=asked.batch_size, progress=asked.progress)
    gold = np.array([[name in row for name in names] for row in rows])
    each = np.array([average_precision(scores[:, n], gold[:, n]) for n in range(len(names))])
    metrics = {"ap_macro": float(each.mean()), "ap_micro": average_precision(scores.ravel(), gold.ravel())}
    for number, part in enumerate(buckets([counts[name] for name in names]), 1):
        metrics[f"ap_{number}"] = float(each[part].mean())
    if (probabilities := model.probabilities(scores)) is not None:
        metrics["brier"] = float(((probabilities - gold) ** 2).mean())
    sizes = ", ".join(str(len(part)) for part in buckets([counts[name] for name in names]))
    chance = float(np.mean([counts[name] / len(rows) for name in names]))
    return Result(
        "labels",
        "ap_macro",
        {**metrics, "chance": chance},
        n=len(names),
        per_item={"ap_macro": each},
        notes=(f"{len(names)} labels of {len(rows)} texts; in the buckets {sizes}",),
        interval=bootstrap_mean(each, seed=asked.seed),
    )


def score_labels(
    model: Scores,
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, "texts labels"]:
    """The score of each label for each text."""
    scores, found = model.scorer_against(labels, batch_size=batch_size), []
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        found.append(scores(part))
        if progress is not None:
            progress(start + len(part), len(texts))
    return np.concatenate(found)


def average_precision(scores: Float[np.ndarray, " n"], gold: Bool[np.ndarray, " n"]) -> float:
    """sum_n (R_n - R_{n-1}) P_n, over distinct scores; equal scores count together."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(gold, scores))


def buckets(counts: Sequence[int], number: int = BUCKETS) -> list[list[int]]:
    """Labels in buckets with about the same number of occurrences, from frequent to rare; none is empty.

    Args:
        counts: Occurrences of each label, in descending order.
        number: Number of buckets; fewer if there are fewer labels.
    """
    before = np.cumsum([0, *counts[:-1]]) + np.asarray(counts) / 2
    places = (before / sum(counts) * number).astype(int)
    found = [np.flatnonzero(places == place).tolist() for place in range(number)]
    return [part for part in found if part]

"""Few-shot classification by prototypes, and similarities within and between labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.errors import InputError
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.items import item_vectors
from nearfar.evaluation.result import Result
from nearfar.evaluation.split import label_names
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import closest, discounted_gain, macro_f1, ranks_of

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float, Int

__all__ = ["FewShot", "few_shot", "intra_inter", "measure_few_shot", "r_precision_ndcg", "ranking_of_prototypes"]

#: Numbers of examples per label in `measure_few_shot`, and number of draws.
SHOTS, DRAWS = (1, 5), 10


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """See `measure_few_shot`."""
    return measure_few_shot(model, data, batch_size=asked.batch_size, seed=asked.seed)


def measure_few_shot(model: Any, rows: Dataset, *, batch_size: int = 64, seed: int = 0) -> Result:
    """Macro F1 of classifying all other rows by one example of each label (primary), or by five examples.

    Labels with too few rows are skipped, see `few_shot`. `within` and `between` are those of `intra_inter`.

    Args:
        model: The encoder.
        rows: `label`, and `text`, `image` or `audio`.
        batch_size: Batch size.
        seed: Random seed of the draws.

    Raises:
        InputError: Fewer than two labels have six rows.
    """
    labels = label_names(rows["label"][:])
    vectors = item_vectors(model, rows, batch_size=batch_size)
    metrics: dict[str, float] = {}
    notes: list[str] = []
    known = 0
    for shots in SHOTS:
        try:
            found = few_shot(vectors, labels, shots, DRAWS, seed)
        except InputError as error:
            if shots == SHOTS[0]:
                raise
            notes.append(error.problem)
            continue
        metrics[f"f1_{shots}_shot"], metrics[f"accuracy_{shots}_shot"] = found.f1, found.accuracy
        known = known or found.labels
        notes.append(f"{shots}-shot: {found.labels} of {len(set(labels))} labels, means over {DRAWS} draws")
    metrics["within"], metrics["between"] = intra_inter(vectors, labels)
    # The F1 of a label that is guessed as often as it occurs is its share, and the mean share is 1 / labels.
    chance = Chance(1 / known, 1 / known)
    return Result("few-shot", f"f1_{SHOTS[0]}_shot", metrics, n=len(labels), notes=tuple(notes), chance=chance)


@dataclass(frozen=True)
class FewShot:
    """Means over draws.

    Args:
        f1: Macro F1.
        accuracy: Fraction of correctly classified vectors.
        labels: Number of labels with enough vectors.
        f1_of_draws: Macro F1 of each draw.
    """

    f1: float
    accuracy: float
    labels: int
    f1_of_draws: tuple[float, ...]


def few_shot(
    vectors: Float[np.ndarray, "n d"], labels: Sequence[Any], shots: int = 1, draws: int = 10, seed: int = 0
) -> FewShot:
    """Classify by the nearest prototype (the mean of the unit vectors of a few examples), by dot product.

    Args:
        vectors: Vectors of any norm; they are normalised.
        labels: One label per vector. Labels with fewer than max(2 shots, shots + 5) vectors are skipped.
        shots: Number of examples per label; all its other vectors are test items.
        draws: Number of draws of the examples.
        seed: Random seed of the draws.

    Raises:
        InputError: Fewer than two labels have enough vectors.

    Source: Burdisso et al. 2024, Dialog2Flow; after Snell et al. 2017, Prototypical Networks.
    """
    unit, gold = _unit(vectors), _numbers(labels)
    found, known = [], 0
    for prototypes, kept, asked in _drawn(unit, gold, shots, draws, seed):
        known = len(kept)
        told, right = closest(unit[asked] @ prototypes.T), np.searchsorted(kept, gold[asked])
        found.append((macro_f1(told, right), told[np.arange(len(right)), right].mean()))
    f1, accuracy = np.mean(found, 0)
    return FewShot(float(f1), float(accuracy), known, tuple(float(draw[0]) for draw in found))


def intra_inter(vectors: Float[np.ndarray, "n d"], labels: Sequence[Any]) -> tuple[float, float]:
    """Similarity within and between labels.

    Returns:
        The mean over labels (with at least three vectors) of the mean cosine of two vectors of the label; and the mean
        cosine of the mean vectors of two labels. The paper calls the first minus the second anisotropy.

    Raises:
        InputError: There are fewer than two labels, or none has three vectors.

    Source: Burdisso et al. 2024, Dialog2Flow.
    """
    vectors, gold = np.asarray(vectors, np.float64), _numbers(labels)
    unit, counts = _unit(vectors), np.bincount(gold)
    if len(counts) < 2 or counts.max() < 3:
        raise InputError("expected at least 2 labels, one of them with 3 vectors", field="label")
    sums, means = (np.zeros((len(counts), vectors.shape[1])) for _ in range(2))
    np.add.at(sums, gold, unit)
    np.add.at(means, gold, vectors)
    many = counts > 2
    within = ((sums[many] ** 2).sum(1) - counts[many]) / (counts[many] * (counts[many] - 1))
    centres = _unit(means / counts[:, None])
    between = ((centres.sum(0) ** 2).sum() - len(counts)) / (len(counts) * (len(counts) - 1))
    return float(within.mean()), float(between)


def ranking_of_prototypes(
    vectors: Float[np.ndarray, "n d"], labels: Sequence[Any], draws: int = 10, seed: int = 0, k: int = 10
) -> tuple[float, float]:
    """How well one example of a label ranks all other vectors, as nDCG@k and in the form that Dialog2Flow reports.

    Returns:
        Means over labels and draws: nDCG@k with gains of 0 and 1; and `r_precision_ndcg`, whose count of relevant
        vectors includes the example, as in the authors' code.

    Raises:
        InputError: Fewer than two labels have six vectors.
    """
    unit, gold = _unit(vectors), _numbers(labels)
    discount = 1 / np.log2(np.arange(2, k + 2))
    standard, theirs = [], []
    for prototypes, kept, asked in _drawn(unit, gold, 1, draws, seed):
        # Drawn by label; in that order, vectors of equal similarity would favour some labels.
        asked = np.random.default_rng(seed).permutation(asked)
        similarity = prototypes @ unit[asked].T
        relevant = gold[asked] == kept[:, None]
        totals = relevant.sum(1)
        ideal = np.cumsum(discount)[np.minimum(totals, k) - 1]
        gains = [discounted_gain(ranks_of(*row), k).sum() for row in zip(similarity, relevant, strict=True)]
        standard += list(np.array(gains) / ideal)
        relevant = np.take_along_axis(relevant, np.argsort(-similarity, axis=1, kind="stable"), axis=1)
        theirs += [r_precision_ndcg(row, int(count) + 1, k) for row, count in zip(relevant, totals, strict=True)]
    return float(np.mean(standard)), float(np.mean(theirs))


def r_precision_ndcg(relevant: Sequence[bool] | Int[np.ndarray, " n"], count: int, k: int = 10) -> float:
    """The metric that Dialog2Flow reports as nDCG@k: the gold ranking is the ranks 1 to `count`, scored by relevance.

    Ranks of equal relevance are tied and share their gain, so that only the number of relevant vectors among the first
    `count` matters: a smoothed R-precision.

    Args:
        relevant: Whether the vector at each rank is relevant, best first.
        count: Total number of relevant vectors.
        k: Number of ranks that count.
    """
    from sklearn.metrics import ndcg_score

    wanted = (np.arange(len(relevant)) < count).astype(np.float64)
    return float(ndcg_score([wanted], [np.asarray(relevant, np.float64)], k=k))


def _drawn(
    unit: Float[np.ndarray, "n d"], gold: Int[np.ndarray, " n"], shots: int, draws: int, seed: int
) -> Iterator[tuple[Float[np.ndarray, "l d"], Int[np.ndarray, " l"], Int[np.ndarray, " q"]]]:
    """The prototypes, their labels, and the test rows of each draw."""
    if shots < 1 or draws < 1:
        raise InputError(f"invalid shots {shots}, draws {draws}", field="shots", remedy="use 1 or more")
    least = max(2 * shots, shots + 5)
    rows = np.split(np.argsort(gold, kind="stable"), np.cumsum(np.bincount(gold))[:-1])
    kept = np.array([label for label, mine in enumerate(rows) if len(mine) >= least])
    if len(kept) < 2:
        raise InputError(f"expected at least 2 labels with {least} or more vectors, got {len(kept)}", field="label")
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        orders = [generator.permutation(rows[label]) for label in kept]
        prototypes = np.stack([unit[order[:shots]].mean(0) for order in orders])
        yield prototypes, kept, np.concatenate([order[shots:] for order in orders])


def _numbers(labels: Sequence[Any]) -> Int[np.ndarray, " n"]:
    return np.unique(label_names(labels), return_inverse=True)[1].reshape(-1)


def _unit(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return np.asarray(x) / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)

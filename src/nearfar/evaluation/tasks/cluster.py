"""Clustering: do clusters of the vectors agree with the labels?"""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, mutual_info_score, v_measure_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from nearfar.errors import InputError
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.items import item_vectors
from nearfar.evaluation.result import Result
from nearfar.evaluation.split import label_names
from nearfar.evaluation.tasks.task import Asked


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """See `measure_clusters`."""
    return measure_clusters(model, data, batch_size=asked.batch_size, seed=asked.seed)


def measure_clusters(model: Any, rows: Dataset, *, batch_size: int = 64, seed: int = 0) -> Result:
    """V-measure (primary) and adjusted Rand index of k-means on unit vectors, with as many clusters as labels.

    Neither is a mean over rows, so there are no per-item values.

    Args:
        model: The encoder.
        rows: `label`, and `text`, `image` or `audio`.
        batch_size: Batch size.
        seed: Random seed of the initial centres.

    Raises:
        InputError: There are fewer than two labels, or every row has a different label.
    """
    gold = label_names(rows["label"][:])
    count = len(set(gold))
    if count < 2:
        raise InputError(f"expected at least 2 labels, got {count}", field="label")
    if count == len(gold):
        raise InputError("every row has a different label, so every clustering would be perfect", field="label")
    vectors = item_vectors(model, rows, batch_size=batch_size)
    found = KMeans(count, n_init=10, random_state=seed).fit_predict(vectors)  # pyright: ignore[reportArgumentType]
    metrics = {
        "v_measure": float(v_measure_score(gold, found)),
        "adjusted_rand": float(adjusted_rand_score(gold, found)),
    }
    return Result("cluster", "v_measure", metrics, n=len(gold), chance=_chance(gold))


def _chance(gold: list[str]) -> Chance:
    """The expected V-measure of random clusters that are as large as the labels: unlike the Rand index, not adjusted.

    The V-measure is mutual information over mean entropy. Source: Vinh et al. 2010, Information theoretic measures for
    clusterings comparison.
    """
    sizes = contingency_matrix(gold, gold, sparse=True)
    expected = float(expected_mutual_information(sizes, len(gold)) / mutual_info_score(gold, gold))
    return Chance(expected, expected)

"""Clusters of vectors that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import adjusted_rand_score, v_measure_score

from nearfar.errors import InputError
from nearfar.evaluation.tasks import cluster
from nearfar.evaluation.tasks.cluster import measure_clusters

LABELS = ["a", "a", "a", "b", "b", "b", "b", "b"]
PLACES = [0, 0, 0, 1, 1, 1, 1, 0]  # one of "b" lies among "a"


@pytest.fixture(autouse=True)
def vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def item_vectors(_: Any, rows: Dataset, *, batch_size: int) -> np.ndarray:
        return np.eye(2)[PLACES[: len(rows)]] + np.arange(len(rows))[:, None] * 1e-4

    monkeypatch.setattr(cluster, "item_vectors", item_vectors)


def rows(labels: list[str]) -> Dataset:
    return Dataset.from_dict({"text": [str(i) for i in range(len(labels))], "label": labels})


def test_as_many_clusters_as_labels() -> None:
    found = measure_clusters(None, rows(LABELS))  # type: ignore[arg-type]
    assert found.metrics == pytest.approx(
        {"v_measure": v_measure_score(LABELS, PLACES), "adjusted_rand": adjusted_rand_score(LABELS, PLACES)}
    )
    assert (found.primary, found.n, found.per_item) == ("v_measure", 8, None)


@pytest.mark.parametrize("labels", [["a", "a", "a"], ["a", "b", "c"]])
def test_labels_that_say_nothing_of_clusters(labels: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        measure_clusters(None, rows(labels))  # type: ignore[arg-type]
    assert caught.value.field == "label"

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import average_precision_score

from nearfar.errors import InputError
from nearfar.evaluation.tasks import Asked
from nearfar.evaluation.tasks.labels import buckets, measure
from nearfar.models.abilities import Scores

ROWS = Dataset.from_dict({"text": ["a", "b", "c", "d"], "labels": [["x", "y"], ["x"], ["x", "z"], ["y"]]})


class Table(Scores):
    """Scores of texts and labels from a table."""

    def __init__(self, table: Any, logits: bool = False) -> None:
        self.table, self.logits = table, logits

    def score_pairs(self, first: Any, second: Any, *, batch_size: int = 64) -> Any:
        return np.array([self.table["abcd".index(a)]["xyz".index(b)] for a, b in zip(first, second, strict=True)])

    def probabilities(self, scores: Any) -> Any:
        return 1 / (1 + np.exp(-scores)) if self.logits else None


GOLD = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 1, 0]])


def test_perfect_scores_and_their_brier_score() -> None:
    found = measure(Table(20.0 * (2 * GOLD - 1), logits=True), ROWS, Asked())
    assert found.metrics["ap_macro"] == found.metrics["ap_micro"] == 1
    assert found.metrics["brier"] == pytest.approx(0, abs=1e-12)
    assert found.metrics["chance"] == pytest.approx(GOLD.mean())


def test_macro_is_over_labels_and_micro_over_pairs() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(4, 3))
    found = measure(Table(table), ROWS, Asked())
    each = [average_precision_score(GOLD[:, label], table[:, label]) for label in range(3)]
    assert found.metrics["ap_macro"] == pytest.approx(np.mean(each))
    assert found.metrics["ap_micro"] == pytest.approx(average_precision_score(GOLD.ravel(), table.ravel()))
    assert found.per_item["ap_macro"] == pytest.approx(each), "x, y, z: frequent ones first"
    assert "brier" not in found.metrics
    # Another scale for each label changes what is compared between labels, and nothing else.
    scaled = measure(Table(table + np.array([10.0, 0.0, -10.0])), ROWS, Asked())
    assert scaled.metrics["ap_macro"] == pytest.approx(found.metrics["ap_macro"])
    assert scaled.metrics["ap_micro"] != pytest.approx(found.metrics["ap_micro"])


def test_buckets_have_equal_occurrences() -> None:
    counts = [40, 20, 10, 10, 5, 5, 4, 3, 2, 1]
    found = buckets(counts, 5)
    assert [label for part in found for label in part] == list(range(10))
    assert sum(counts[label] for label in found[0]) == 40
    assert len(found[-1]) > len(found[0])
    assert buckets([1, 1], 5) == [[0], [1]]


def test_one_label_cannot_be_told_from_another() -> None:
    with pytest.raises(InputError):
        measure(Table(GOLD), Dataset.from_dict({"text": ["a"], "labels": [["x"]]}), Asked())

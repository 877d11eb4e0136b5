"""Two results on the same items: their paired interval, or why there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nearfar.evaluation.compared import paired_interval
from nearfar.evaluation.intervals import paired_correlation_difference, paired_difference
from nearfar.evaluation.result import Result

BEFORE = np.linspace(0, 0.5, 24)
AFTER = BEFORE + np.random.default_rng(0).normal(0.1, 0.05, 24)


def result(values: Any, **more: Any) -> Result:
    return Result(**{
        "task": "retrieval", "primary": "ndcg@10", "metrics": {"ndcg@10": float(np.mean(values))}, "n": len(values),
        "per_item": {"ndcg@10": np.asarray(values)}, **more,
    })  # fmt: skip


def test_after_minus_before_of_the_primary_metric() -> None:
    found = paired_interval(result(BEFORE), result(AFTER), seed=3)
    assert found == paired_difference(BEFORE, AFTER, seed=3)
    assert found is not None
    assert found.mean > 0
    assert found != paired_interval(result(BEFORE), result(AFTER), seed=4)


def test_items_of_a_group_are_drawn_together() -> None:
    groups = [i // 6 for i in range(24)]
    found = paired_interval(result(BEFORE), result(AFTER), groups=groups)
    assert found == paired_difference(BEFORE, AFTER, groups=groups)
    assert found != paired_interval(result(BEFORE), result(AFTER))


def test_correlations_are_compared_by_correlation() -> None:
    gold = np.random.default_rng(1).random(24)

    def scored(similarity: np.ndarray) -> Result:
        items = {"similarity": similarity, "score": gold}
        return result(similarity, task="sts", primary="spearman", metrics={"spearman": 0.5}, per_item=items)

    first, second = gold + AFTER, gold + BEFORE / 5
    found = paired_interval(scored(first), scored(second), seed=2)
    assert found == paired_correlation_difference(first, second, gold, seed=2)
    assert found is not None
    assert found.mean > 0
    assert found != paired_interval(scored(first), scored(second), seed=5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"per_item": None}, {}),
        ({}, {"per_item": None}),
        ({}, {"n": 23}),
        ({"n": 2, "per_item": {"ndcg@10": BEFORE[:2]}}, {"n": 2, "per_item": {"ndcg@10": AFTER[:2]}}),
        ({"metrics": {"ndcg@10": float("nan")}}, {}),
        ({}, {"metrics": {"ndcg@10": float("nan")}}),
        ({"per_item": {"mrr@10": BEFORE}}, {"per_item": {"mrr@10": AFTER}}),
    ],
)
def test_without_pairs_there_is_no_interval(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert paired_interval(result(BEFORE, **before), result(AFTER, **after)) is None
    assert paired_interval(result(BEFORE[:3]), result(AFTER[:3])) is not None

"""A result as JSON."""

from __future__ import annotations

import json

from nearfar.evaluation.intervals import Interval
from nearfar.evaluation.result import Result, metric_name


def test_bounds_are_in_order_and_what_is_undefined_is_null() -> None:
    metrics = {"accuracy": 0.5, "f1": float("nan")}
    found = Result("zero-shot", "accuracy", metrics, 8, 1.5, notes=("a",), interval=Interval(0.5, 0.25, 0.75))
    assert found.score == 0.5
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False)) == {
        "task": "zero-shot", "primary": "accuracy", "metrics": {"accuracy": 0.5, "f1": None}, "n": 8, "seconds": 1.5,
        "notes": ["a"], "interval_95": [0.25, 0.75],
    }  # fmt: skip
    assert "interval_95" not in Result("sts", "spearman", {"spearman": 0.5}, 3).as_dict()


def test_every_metric_has_a_name() -> None:
    assert metric_name("accuracy_logistic") == "accuracy logistic"
    assert len({metric_name(name) for name in ("ndcg@10", "mrr@10", "map@100", "spearman", "pearson")}) == 5

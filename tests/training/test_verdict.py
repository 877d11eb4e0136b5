"""The sentence on whether training helped, where the evaluation cannot tell."""

from __future__ import annotations

from typing import Any

import pytest

from nearfar.evaluation import Interval, Result
from nearfar.training.page import verdict


def found(score: float, task: str = "retrieval", primary: str = "ndcg@10", n: int = 100, **more: float) -> Result:
    return Result(task, primary, {primary: score, **more}, n=n)


@pytest.mark.parametrize("change", [None, Interval(0.0, 0.0, 0.0), Interval(0.0001, 0.0, 0.0002)])
def test_at_the_ceiling_no_difference_is_claimed(change: Interval | None):
    said, tone = verdict(found(1.0), found(0.9999), change)
    assert "nDCG@10 is 1.000 before training and 1.000 after, and cannot be above 1" in said
    assert "+0.000" not in said
    assert tone == "neutral"


def test_below_the_ceiling_the_change_is_said():
    assert verdict(found(1.0), found(0.9), Interval(-0.1, -0.2, -0.05))[0].startswith("Worse: nDCG@10 went from 1.000")
    assert verdict(found(0.9), found(1.0), Interval(0.1, 0.05, 0.2))[0].startswith("Better: ")


def test_at_chance():
    labels: dict[str, Any] = {"task": "zero-shot", "primary": "accuracy", "chance": 0.25}
    said, tone = verdict(found(0.24, **labels), found(0.27, **labels), Interval(0.03, 0.01, 0.05))
    assert "At chance: accuracy 0.240 before training and 0.270 after, and guessing has 0.250" in said
    assert tone == "neutral"
    assert verdict(found(0.24, **labels), found(0.6, **labels), Interval(0.36, 0.3, 0.4))[1] == "good"
    pairs: dict[str, Any] = {"task": "sts", "primary": "spearman"}
    assert verdict(found(0.05, **pairs), found(-0.1, **pairs), None)[0].startswith("At chance: Spearman's")
    assert verdict(found(0.05, **pairs), found(0.5, **pairs), Interval(0.45, 0.3, 0.6))[1] == "good"
    assert verdict(found(float("nan"), **pairs), found(0.0, **pairs), None)[0].count("At chance") == 0

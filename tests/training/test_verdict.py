"""The sentence on whether training helped, where the evaluation cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nearfar.evaluation import Interval, Result
from nearfar.evaluation.chance import Chance
from nearfar.training.page import verdict


def found(
    score: float, task: str = "retrieval", primary: str = "ndcg@10", n: int = 100, chance: Chance | None = None
) -> Result:
    return Result(task, primary, {primary: score}, n=n, chance=chance)


@pytest.mark.parametrize("change", [None, Interval(0.0, 0.0, 0.0), Interval(0.0001, 0.0, 0.0002)])
def test_at_the_ceiling_no_difference_is_claimed(change: Interval | None):
    said, tone = verdict(found(1.0), found(0.9999), change)
    assert "nDCG@10 is 1.000 before training and 1.000 after, and cannot be above 1" in said
    assert "+0.000" not in said
    assert tone == "neutral"


def test_below_the_ceiling_the_change_is_said():
    assert verdict(found(1.0), found(0.9), Interval(-0.1, -0.2, -0.05))[0].startswith("Worse: nDCG@10 went from 1.000")
    assert verdict(found(0.9), found(1.0), Interval(0.1, 0.05, 0.2))[0].startswith("Better: ")


def labelled(share: float, n: int = 100, chance: Chance | None = None) -> Result:
    right = np.arange(n) < round(share * n)
    return Result(
        "classify", "accuracy", {"accuracy": float(right.mean())}, n, per_item={"accuracy": right * 1.0}, chance=chance
    )


def test_at_chance_where_both_intervals_contain_it():
    chance = Chance(0.25, 0.3)
    said, tone = verdict(labelled(0.24, chance=chance), labelled(0.27, chance=chance), Interval(0.03, 0.01, 0.05))
    assert said.startswith("At chance: accuracy is 0.240 before training and 0.270 after, and guessing scores 0.300")
    assert tone == "neutral"
    pairs: dict[str, Any] = {"task": "sts", "primary": "spearman", "chance": Chance(0.0, 0.0)}
    assert verdict(found(0.05, **pairs), found(-0.1, **pairs), None)[0].startswith("At chance: Spearman's")


@pytest.mark.parametrize("before", [0.27, 0.6])
def test_a_good_model_is_not_at_chance(before: float):
    chance = Chance(0.25, 0.3)
    said, tone = verdict(labelled(before, chance=chance), labelled(0.6, chance=chance), Interval(0.33, 0.3, 0.4))
    assert "chance" not in said
    assert tone == "good"
    pairs: dict[str, Any] = {"task": "sts", "primary": "spearman", "chance": Chance(0.0, 0.0)}
    assert verdict(found(0.05, **pairs), found(0.5, **pairs), Interval(0.45, 0.3, 0.6))[1] == "good"
    # Worse than guessing is not at chance either.
    assert "At chance" not in verdict(labelled(0.05, chance=chance), labelled(0.1, chance=chance), None)[0]


def test_without_an_interval_nothing_is_said_of_chance():
    pairs: dict[str, Any] = {"task": "sts", "primary": "spearman", "chance": Chance(0.0, 0.0)}
    assert "At chance" not in verdict(found(float("nan"), **pairs), found(0.0, **pairs), None)[0]
    clusters: dict[str, Any] = {"task": "cluster", "primary": "v_measure", "chance": Chance(0.1, 0.1)}
    assert "At chance" not in verdict(found(0.1, **clusters), found(0.1, **clusters), None)[0]

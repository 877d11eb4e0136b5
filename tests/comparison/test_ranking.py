"""From values an item to a ranking and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nearfar.comparison.ranking import against_baseline, choose_baseline, rank, recommendation, recommended

ITEMS = np.random.default_rng(0).random(300) * 0.5


def runs(gain: float, seconds: float | None, noise: float = 0.02, seeds: int = 2) -> list[dict[str, Any]]:
    found = []
    for seed in range(seeds):
        values = ITEMS + gain + np.random.default_rng([seed, int(1000 * gain) % 977]).normal(0, noise, 300)
        run: dict[str, Any] = {
            "task": "retrieval",
            "primary": "ndcg@10",
            "metrics": {"ndcg@10": float(values.mean())},
            "per_item": {"ndcg@10": values.tolist()},
        }
        if seconds is not None:
            run["cost"] = {
                "steps": 10,
                "seconds": seconds + seed,
                "seconds_a_step": None,
                "memory": 2**20 * (seed + 1),
                "gpu_memory": None,
            }
        found.append(run)
    return found


def models(**gains: tuple[float, float]) -> Mapping[str, list[dict[str, Any]]]:
    return {name: runs(*of) for name, of in gains.items()} | {"base": runs(0.0, None, seeds=1)}


def test_a_clear_winner():
    ranking = rank(models(infonce=(0.1, 10), simcse=(0.2, 5), cless=(-0.1, 5)), "infonce")
    assert [row.name for row in ranking] == ["simcse", "infonce", "base", "cless"]
    assert [row.verdict for row in ranking] == ["better", "baseline", "worse", "worse"]
    simcse = ranking[0]
    assert simcse.baseline is not None
    assert simcse.baseline.difference.mean == pytest.approx(0.1, abs=0.01)
    assert simcse.baseline.p <= simcse.baseline.corrected
    assert len(simcse.by_seed) == 2
    assert (simcse.cost.seconds, simcse.cost.memory, simcse.cost.steps) == (5.5, 2 * 2**20, 10)
    said = recommendation(ranking, "nDCG@10")
    assert said.startswith("Use simcse: nDCG@10 ")
    assert "better than every other recipe (next: infonce, -0.1" in said
    assert against_baseline(ranking) == (
        "Significantly better than infonce: simcse; significantly worse: the base model and cless."
    )


def test_ties_are_said_and_the_cheapest_is_taken():
    ranking = rank(models(infonce=(0.101, 10), simcse=(0.1, 5), debcse=(0.05, 1)), "infonce")
    assert recommended(ranking).name == "simcse"
    said = recommendation(ranking, "nDCG@10")
    assert said.startswith("Use simcse")
    assert "no significant difference to infonce, and it is the cheapest of these (6 s)" in said
    assert "no significant difference: simcse" in against_baseline(ranking)


def test_no_gain_is_no_gain():
    ranking = rank(models(infonce=(0.0003, 10), simcse=(-0.2, 5)), "infonce")
    assert recommended(ranking).name == "base"
    said = recommendation(ranking, "nDCG@10")
    assert said.startswith(
        "Keep the base model: no recipe is significantly better; the difference of the first one, infonce"
    )


def test_equal_models():
    same = {"infonce": runs(0.0, 1.0, noise=0.0), "base": runs(0.0, None, noise=0.0, seeds=1)}
    ranking = rank(same, "base")
    assert [row.name for row in ranking] == ["base", "infonce"]
    assert ranking[1].verdict == "no significant difference"
    assert ranking[1].baseline is not None
    assert ranking[1].baseline.corrected == 1.0


def test_one_lucky_recipe_of_many_is_not_believed():
    """A p-value of about 0.03 counts alone, and no longer among twenty."""
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 1, (20, 300))
    noise -= noise.mean(1, keepdims=True)
    base = {"task": "classify", "primary": "accuracy_logistic", "metrics": {"accuracy_logistic": 0.0}}

    def as_runs(values: np.ndarray) -> list[dict[str, Any]]:
        return [{**base, "per_item": {"accuracy_logistic": values.tolist()}}]

    lucky = as_runs(noise[0] + 2.2 / np.sqrt(300))
    zero = as_runs(np.zeros(300))
    alone = rank({"lucky": lucky, "base": zero}, "base")
    assert (alone[0].name, alone[0].verdict) == ("lucky", "better")
    many = {f"r{i}": as_runs(noise[i]) for i in range(1, 20)}
    crowd = {row.name: row for row in rank({"lucky": lucky, **many, "base": zero}, "base")}
    assert crowd["lucky"].verdict == "no significant difference"


def test_the_baseline():
    assert choose_baseline(["simcse", "infonce", "dse"]) == "infonce"
    assert choose_baseline(["dse", "simcse"]) == "simcse"
    assert choose_baseline(["dse", "codiemb"]) == "dse"
    assert choose_baseline([]) == "base"

"""From values an item to a ranking and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nearfar.comparison.page import _shared
from nearfar.comparison.ranking import (
    Against,
    Cost,
    Ranked,
    against_baseline,
    choose_baseline,
    rank,
    recommendation,
    recommended,
    tied,
)
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.intervals import Interval

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


def _name(ranking: Sequence[Ranked], chance: Chance | None = None) -> str | None:
    chosen = recommended(ranking, chance)
    return None if chosen is None else chosen.name


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
    assert "better than every other model (next: infonce, -0.1" in said
    assert against_baseline(ranking) == (
        "Significantly better than infonce: simcse; significantly worse: the base model and cless."
    )


def test_ties_are_said_and_the_cheapest_is_taken():
    ranking = rank(models(infonce=(0.101, 10), simcse=(0.1, 5), debcse=(0.05, 1)), "infonce")
    assert _name(ranking) == "simcse"
    said = recommendation(ranking, "nDCG@10")
    assert said.startswith("Use simcse")
    assert "no significant difference to infonce, and it is the cheapest of these (6 s)" in said
    assert "no significant difference: simcse" in against_baseline(ranking)


def test_no_gain_is_no_gain():
    ranking = rank(models(infonce=(0.0003, 10), simcse=(-0.2, 5)), "infonce")
    assert _name(ranking) == "base"
    said = recommendation(ranking, "nDCG@10")
    assert said.startswith(
        "Keep the base model: no recipe is significantly better; the difference of the first one, infonce"
    )


def test_without_the_base_model():
    """Differences between recipes decide; the cheapest of the leading ones is recommended."""
    found = {name: runs(*of) for name, of in {"infonce": (0.1, 10), "simcse": (0.101, 5), "cless": (0.0, 1)}.items()}
    ranking = rank(found, "infonce")
    assert [row.base for row in ranking] == [None] * 3
    assert _name(ranking) == "simcse"
    said = recommendation(ranking, "nDCG@10")
    assert said.startswith("Use simcse")
    assert "base model" not in said + against_baseline(ranking)
    assert "significantly worse: cless" in against_baseline(ranking)

    guessing = Chance(0.2, 0.4)
    assert _name(ranking, guessing) is None
    assert "base model" not in recommendation(ranking, "nDCG@10", guessing)
    perfect = [replace(row, score=Interval(1.0, 1.0, 1.0)) for row in ranking]
    assert recommendation(perfect, "nDCG@10").startswith("Use simcse, the cheapest")
    alone = rank({"infonce": runs(0.1, 10)}, "infonce")
    assert "infonce is the only model" in recommendation(alone, "nDCG@10")
    assert "only one model" in against_baseline(alone)


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


def test_where_all_are_at_the_ceiling_nothing_is_told():
    perfect = {"infonce": runs(0.0, 1.0, noise=0.0), "base": runs(0.0, None, noise=0.0, seeds=1)}
    for several in perfect.values():
        for run in several:
            run["per_item"]["ndcg@10"] = [1.0] * 300
    ranking = rank(perfect, "infonce")
    said, verdicts = recommendation(ranking, "nDCG@10"), against_baseline(ranking)
    assert _name(ranking) == "base"
    assert "cannot be above 1, so this evaluation shows no difference" in said
    assert "+0.000" not in said + verdicts
    assert "all models have the highest possible score" in verdicts
    perfect["infonce"][0]["per_item"]["ndcg@10"] = [0.0] * 300
    assert "cannot be above 1" not in recommendation(rank(perfect, "infonce"), "nDCG@10")


def test_where_all_are_at_chance_nothing_is_recommended():
    ranking = rank(models(infonce=(0.1, 10)), "infonce")
    assert _name(ranking) == "infonce"
    chance = Chance(0.25, 0.99)
    assert _name(ranking, chance) == "base"
    assert "no model is significantly better than chance (accuracy 0.990)" in recommendation(
        ranking, "accuracy", chance
    )
    assert "all models are at chance" in against_baseline(ranking, chance)


def test_one_budget_is_claimed_where_there_was_one():
    assert _shared(["Equal budgets: each run sees 10 rows"]) == "base model and budget"
    assert _shared(["One seed.", "Budgets are not equal: recipes were given different epochs."]) == "base model"


@pytest.mark.parametrize(
    ("mean", "p", "corrected", "verdict"),
    [
        (0.1, 0.01, 0.049, "better"),
        (-0.1, 0.01, 0.049, "worse"),
        # It is the corrected p-value that counts, and 0.05 is too much.
        (0.1, 0.01, 0.05, "no significant difference"),
        (-0.1, 0.01, 0.05, "no significant difference"),
        (0.1, 0.01, 0.2, "no significant difference"),
        (0.1, 0.9, 1.0, "no significant difference"),
    ],
)
def test_the_corrected_p_value_decides(mean: float, p: float, corrected: float, verdict: str):
    found = Against(Interval(mean, mean - 0.05, mean + 0.05), p, corrected)
    assert found.verdict == verdict
    assert found.as_dict() == {
        "mean": mean,
        "low": mean - 0.05,
        "high": mean + 0.05,
        "p": p,
        "p_corrected": corrected,
        "verdict": verdict,
    }


def against(mean: float, corrected: float) -> Against:
    return Against(Interval(mean, mean - 0.01, mean + 0.01), corrected / 3, corrected)


def row(rank: int, name: str, seconds: float, base: Against | None, best: Against | None) -> Ranked:
    score = Interval(0.9 - rank / 10, 0.8 - rank / 10, 1 - rank / 10)
    return Ranked(rank, name, score, (0.25, 0.5), base, base, best, Cost(9, seconds, None, None, None))


def test_who_is_tied_is_decided_by_verdicts_and_not_by_intervals():
    """The interval of one difference may leave out zero, and the difference be lost among several."""
    alone, sure = against(-0.02, 0.06), against(-0.005, 0.01)
    gain = against(0.2, 0.001)
    rows = [row(1, "a", 9, gain, None), row(2, "b", 7, gain, alone), row(3, "c", 1, gain, sure)]
    assert [each.name for each in tied(rows)] == ["a", "b"]
    assert _name([*rows, row(4, "base", 0, None, against(-0.2, 0.001))]) == "b"


def test_a_leader_that_does_not_beat_the_base_model_is_not_recommended():
    base = row(3, "base", 0, None, against(-0.03, 0.5))
    unsure = row(2, "b", 1, against(0.02, 0.06), against(-0.01, 0.9))
    ranking = [row(1, "a", 9, against(0.03, 0.04), None), unsure, base]
    assert _name(ranking) == "a"
    # Of two leaders one is surely better than the base model; of two sure ones the sentence is another.
    sure = [ranking[0], row(2, "b", 99, against(0.02, 0.04), against(-0.01, 0.9)), base]
    assert _name(sure) == "a"
    first, second = (
        recommendation(each, "nDCG@10").partition("no significant difference to")[2] for each in (ranking, sure)
    )
    assert "b" in first
    assert first != second
    assert _name([row(1, "a", 9, against(0.03, 0.05), None), base]) == "base"
    assert _name([row(1, "a", 9, against(-0.03, 0.01), None), base]) == "base"


def test_what_the_sentence_says_of_the_next_is_its_distance_to_the_best():
    rows = [
        row(1, "a", 9, against(0.2, 0.001), None),
        row(2, "b", 1, against(0.125, 0.001), against(-0.075, 0.001)),
        row(3, "base", 0, None, against(-0.2, 0.001)),
    ]
    said = recommendation(rows, "nDCG@10")
    assert "-0.075" in said
    assert "0.125" not in said
    assert "+0.200" in said


def test_a_row_as_json():
    found = rank(models(infonce=(0.1, 10)), "infonce")[0].as_dict()
    assert (found["rank"], found["name"], found["verdict"]) == (1, "infonce", "baseline")
    assert found["low"] < found["score"] < found["high"]
    assert found["by_seed"] == [run["metrics"]["ndcg@10"] for run in runs(0.1, 10)]
    assert found["against_baseline"] is None
    assert found["cost"] == {
        "steps": 10, "seconds": 10.5, "seconds_a_step": None, "memory": 2 * 2**20, "gpu_memory": None,
        "ms_per_query": None, "trained": None, "ms_per_text": None,
    }  # fmt: skip


def test_the_time_per_query_is_that_of_the_primary_metric():
    found = models(infonce=(0.1, 10))
    for name, times in (("infonce", (4.0, 6.0)), ("base", (3.0,))):
        for run, ms in zip(found[name], times, strict=True):
            run["ms_per_query"] = {"first_stage": 99.0, "top_25": ms}
    cost = {row.name: row.cost.ms_per_query for row in rank(found, "infonce")}
    assert cost == {"infonce": 5.0, "base": 3.0}


def test_each_is_compared_with_the_baseline_the_base_model_and_the_best():
    found = {each.name: each for each in rank(models(infonce=(0.1, 10), simcse=(0.2, 5)), "infonce")}
    simcse, infonce, base = (found[name] for name in ("simcse", "infonce", "base"))
    for against, mean in (
        (simcse.baseline, 0.1), (simcse.base, 0.2), (infonce.base, 0.1), (infonce.best, -0.1),
        (base.baseline, -0.1), (base.best, -0.2),
    ):  # fmt: skip
        assert against is not None
        assert against.difference.mean == pytest.approx(mean, abs=0.01)
    assert (simcse.best, infonce.baseline, base.base) == (None, None, None)


def test_correlations_are_ranked_by_correlation():
    rng = np.random.default_rng(0)
    gold = rng.random(60)

    def scored(noise: float, score: float | None) -> list[dict[str, Any]]:
        similarity = gold + rng.normal(0, noise, 60)
        per_item = {"similarity": similarity.tolist(), "score": gold.tolist()}
        return [{"task": "sts", "primary": "spearman", "metrics": {"spearman": score}, "per_item": per_item}]

    # Higher similarities are no better correlation.
    shifted = scored(3.0, 0.1)
    shifted[0]["per_item"]["similarity"] = [value + 5 for value in shifted[0]["per_item"]["similarity"]]
    ranking = rank({"good": scored(0.05, 0.9), "poor": shifted, "base": scored(1.0, None)}, "good")
    assert ranking[0].name == "good"
    assert 0.9 < ranking[0].score.mean <= 1
    # A correlation that does not exist counts as 0.
    assert next(each for each in ranking if each.name == "base").by_seed == (0.0,)

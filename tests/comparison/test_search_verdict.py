"""Which configuration is chosen, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nearfar.comparison.ranking import rank
from nearfar.comparison.search_verdict import choose, cost_in_words, same_times

ITEMS = np.random.default_rng(0).random(300) * 0.5


def runs(gain: float, trained: int | None, ms: float | None = 1.0, noise: float = 0.05) -> list[dict[str, Any]]:
    """Two runs; one without a cost for a base model (trained is None)."""
    found = []
    for seed in range(1 if trained is None else 2):
        generator = np.random.default_rng([seed, abs(round(1000 * gain)), trained or 0])
        values = ITEMS + gain + (0 if trained is None else generator.normal(0, noise, 300))
        run: dict[str, Any] = {
            "task": "retrieval",
            "primary": "ndcg@10",
            "n": 300,
            "metrics": {"ndcg@10": float(values.mean())},
            "per_item": {"ndcg@10": values.tolist()},
            "ms_per_text": ms,
        }
        if trained is not None:
            cost = {"steps": 10, "seconds": 9.0, "seconds_a_step": None, "memory": None, "gpu_memory": None}
            run["cost"] = {**cost, "trained": trained}
        found.append(run)
    return found


def chosen(found: dict[str, list[dict[str, Any]]]) -> tuple[str, str]:
    choice = choose(rank(found, "base"), found)
    return choice.winner, choice.cheapest


def test_few_trained_parameters_are_cheaper_where_times_are_equal():
    """Times of up to one and a half times the least are equal."""
    found = {"full": runs(0.105, 1000, 1.0), "lora": runs(0.1, 10, 1.4), "base": runs(0.0, None)}
    assert chosen(found) == ("full", "lora")
    slow = {**found, "lora": runs(0.1, 10, 1.6)}
    assert chosen(slow) == ("full", "full")


def test_a_faster_model_is_the_cheapest_if_it_is_not_worse():
    found = {"large": runs(0.105, 10, 9.0), "small": runs(0.1, 1000, 1.0), "base": runs(0.0, None)}
    assert chosen(found) == ("large", "small")
    assert chosen({**found, "small": runs(0.05, 1000, 1.0)}) == ("large", "large")


def test_a_recipe_on_a_base_model_has_one_time():
    """The least of its runs."""
    found = {"a": runs(0.1, 10, 3.0), "b": runs(0.1, 10, 1.0), "c": runs(0.1, 10, 2.0), "d": runs(0.1, 10, None)}
    kinds = {"a": ("infonce", "m"), "b": ("infonce", "m"), "c": ("simcse", "m"), "d": ("simcse", "n")}
    times = {name: [run["ms_per_text"] for run in of] for name, of in same_times(found, kinds).items()}
    assert times == {"a": [1.0, 1.0], "b": [1.0, 1.0], "c": [2.0, 2.0], "d": [None, None]}


def test_the_base_model_is_the_cheapest_if_nothing_is_better():
    found = {"a": runs(0.002, 1000), "b": runs(-0.1, 10), "base": runs(0.0, None)}
    assert chosen(found) == ("a", "base")


def test_at_the_ceiling_the_cheapest_of_all_is_used():
    found = {"a": runs(0.1, 1000, noise=0.0), "base": runs(0.0, None)}
    for several in found.values():
        for run in several:
            run["per_item"]["ndcg@10"] = [1.0] * 300
    choice = choose(rank(found, "base"), found)
    assert not choice.informative
    assert choice.cheapest == "base"
    assert "the base model" in choice.sentence([], "nDCG@10")


def test_scores_in_the_sentence_are_those_of_the_evaluation_rows():
    found = {"full": runs(0.105, 1000), "lora": runs(0.1, 10), "base": runs(0.0, None)}
    choice = choose(rank(found, "base"), found)
    measured = rank({**found, "full": runs(0.2, 1000), "lora": runs(0.19, 10)}, "base")
    said = choice.sentence(measured, "nDCG@10")
    scores = {row.name: row.score.mean for row in measured}
    assert f"full (nDCG@10 {scores['full']:.3f}" in said
    assert f"lora (nDCG@10 {scores['lora']:.3f}" in said
    assert cost_in_words(next(row for row in choice.ranking if row.name == "lora")) in said


@pytest.mark.parametrize(("ms", "trained", "words"), [(1.0, 1500, ["1.00 ms", "1,500"]), (None, None, ["not known"])])
def test_costs_in_words(ms: float | None, trained: int | None, words: list[str]):
    found = {"a": runs(0.1, 1500, ms), "base": runs(0.0, None)}
    if trained is None:
        for run in found["a"]:
            del run["cost"]["trained"]
    row = next(row for row in rank(found, "base") if row.name == "a")
    assert all(word in cost_in_words(row) for word in words)

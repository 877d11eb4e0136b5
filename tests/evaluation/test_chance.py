"""What guessing scores in each task: counted by hand, or by guessing often."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import f1_score, v_measure_score

from nearfar.evaluation import Interval, Result, evaluate
from nearfar.evaluation.chance import Chance, at_chance, of_labels
from nearfar.evaluation.compared import score_interval
from nearfar.evaluation.tasks import Asked, cluster, few_shot
from nearfar.evaluation.tasks.ranking import measure as measure_ranking
from nearfar.evaluation.tasks.retrieval import measure_retrieval
from nearfar.models.abilities import Scores


def test_a_guess_is_a_random_label_or_always_the_most_frequent_one():
    assert of_labels([0, 1, 1, 1], 3) == Chance(1 / 3, 0.75)


def test_every_interval_must_contain_what_guessing_scores():
    chance = Chance(0.25, 0.4)
    near, between, above, below = (Interval(mean, mean - 0.05, mean + 0.05) for mean in (0.22, 0.33, 0.46, 0.19))
    assert at_chance([near, between], chance, 100)
    assert not at_chance([near, above], chance, 100)
    assert not at_chance([below, between], chance, 100)
    assert not at_chance([near, None], chance, 100)
    assert not at_chance([near], None, 100)


def test_an_interval_without_width_says_nothing_on_other_items():
    never = Interval(0.0, 0.0, 0.0)
    assert at_chance([never], Chance(0.01, 0.01), 20)
    assert not at_chance([never], Chance(0.5, 0.5), 20)


@pytest.mark.parametrize(("n", "score"), [(40, 0.2), (400, 0.2), (40, -0.9), (40, 1.0)])
def test_the_interval_of_a_correlation(n: int, score: float):
    interval = score_interval(Result("sts", "spearman", {"spearman": score}, n=n))
    assert interval is not None
    assert -1 <= interval.low <= score <= interval.high <= 1
    assert interval.excludes_zero == (n == 400 or abs(score) >= 0.9)


def test_there_is_no_interval_without_values():
    assert score_interval(Result("cluster", "v_measure", {"v_measure": 0.5}, n=40)) is None
    assert score_interval(Result("sts", "spearman", {"spearman": float("nan")}, n=40)) is None


class _Random(Scores):
    words = "a scorer"

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)

    def score_pairs(self, first, second, *, batch_size=64):
        return self.draw.random(len(first))


def test_ranking_by_random_scores():
    scores = [[2.0, 1.0, *[0.0] * 13], [0.0, 0.5, 1.0], [1.0, 1.0, 0.0, 0.0]]
    data = Dataset.from_dict(
        {
            "query": list("abc"),
            "candidates": [[str(number) for number in range(len(each))] for each in scores],
            "scores": scores,
        }
    )
    found = [measure_ranking(_Random(seed), data, Asked()) for seed in range(600)]
    assert found[0].chance is not None
    assert found[0].chance.low == found[0].chance.high
    assert found[0].chance.high == pytest.approx(np.mean([each.score for each in found]), abs=0.02)


def test_retrieval_by_a_collapsed_model(tiny_model):
    corpus = {f"d{row}": "the cat" for row in range(30)}
    relevant = {"q0": {"d3": 1, "d4": 2}, "q1": {f"d{row}": 1 for row in range(20)}, "d7": {"d1": 1, "gone": 1}}
    found = measure_retrieval(tiny_model, corpus, {"q0": "a dog", "q1": "a fish", "d7": "the cat"}, relevant)
    assert found.chance is not None
    # Where all documents are equal, metrics are means over all orders.
    assert found.score == pytest.approx(found.chance.high)
    other = measure_retrieval(
        tiny_model, {id_: f"the {id_}" for id_ in corpus}, {"q0": "a dog", "q1": "a fish", "d7": "the cat"}, relevant
    )
    assert other.chance == found.chance


def test_classification(tiny_model):
    texts = [f"{a} {b}" for a in ("cat", "dog", "bird", "fish") for b in ("red", "blue", "green", "sky", "sea")]
    data = Dataset.from_dict({"text": texts, "label": ["a"] * 10 + ["b"] * 5 + ["c"] * 5})
    found = evaluate(tiny_model, data, train=data)
    assert found.chance == Chance(1 / 3, 0.5)
    assert found.as_dict()["chance"] == [1 / 3, 0.5]
    zero_shot = evaluate(tiny_model, data, "zero-shot")
    assert zero_shot.chance == Chance(1 / 3, zero_shot.metrics["chance"])


def test_clusters_by_random_assignment(monkeypatch: pytest.MonkeyPatch):
    draw = np.random.default_rng(0)
    labels = ["a"] * 12 + ["b"] * 5 + ["c"] * 3
    monkeypatch.setattr(cluster, "item_vectors", lambda *_, **__: draw.random((20, 4)))
    data = Dataset.from_dict({"text": [str(row) for row in range(20)], "label": labels})
    found = cluster.measure_clusters(None, data)  # type: ignore[arg-type]
    guesses = [v_measure_score(labels, draw.permutation(labels)) for _ in range(2000)]
    assert found.chance is not None
    assert found.chance.high == pytest.approx(np.mean(guesses), abs=0.01)


def test_few_shot_by_guessing_labels_as_often_as_they_occur(monkeypatch: pytest.MonkeyPatch):
    draw = np.random.default_rng(0)
    labels = ["a"] * 60 + ["b"] * 20 + ["c"] * 20
    monkeypatch.setattr(few_shot, "item_vectors", lambda *_, **__: draw.random((100, 4)))
    data = Dataset.from_dict({"text": [str(row) for row in range(100)], "label": labels})
    found = few_shot.measure_few_shot(None, data)  # type: ignore[arg-type]
    guesses = [f1_score(labels, draw.permutation(labels), average="macro") for _ in range(500)]
    assert found.chance is not None
    assert found.chance.high == pytest.approx(np.mean(guesses), abs=0.01)


def test_across_media(monkeypatch: pytest.MonkeyPatch):
    from nearfar.evaluation.tasks import across

    same = np.ones((4, 2)) / 2**0.5
    monkeypatch.setattr(across, "encode", lambda _, texts, **__: same[: len(texts)])
    monkeypatch.setattr(across, "encode_media", lambda _, files, *__, **___: same[: len(files)])
    data: Any = Dataset.from_dict({"image": ["1", "2", "3", "4", "1"], "text": ["a", "b", "c", "c", "a"]})
    found = across.measure_across(None, data)  # type: ignore[arg-type]
    # One text of three has two of the four files.
    assert found.chance == Chance(1 / 3, 1 / 3)

"""What a ranking is worth where scores are equal: the mean over every order, whatever the order of the file."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import f1_score

from nearfar.evaluation import evaluate
from nearfar.evaluation.tasks.retrieval import measure_retrieval
from nearfar.evaluation.ties import (
    among_closest,
    average_precision,
    closest,
    discounted_gain,
    found_at,
    macro_f1,
    ranks_of,
    reciprocal_rank,
)
from nearfar.models.abilities import Scores


def over_all_orders(scores: np.ndarray, value: Callable[[list[int]], float]) -> float:
    """The mean of a value of a ranking over all orders of items that keep the scores descending."""
    groups = [np.flatnonzero(scores == score).tolist() for score in np.unique(scores)[::-1]]
    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    return float(np.mean([value([item for group in order for item in group]) for order in orders]))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("seed", range(12))
def test_every_measure_is_the_mean_over_all_orders(seed: int, k: int):
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 1 + seed % 4, 6) / 3 - 0.5
    gains = draw.integers(0, 3, 6)
    gains[draw.integers(6)] = 2
    relevant = gains > 0
    ranks = ranks_of(scores, relevant)

    def ndcg(order: list[int]) -> float:
        return sum(gains[item] / np.log2(rank + 1) for rank, item in enumerate(order[:k], 1))

    def recall(order: list[int]) -> float:
        return float(relevant[order[:k]].mean() * len(order[:k]))

    def reciprocal(order: list[int]) -> float:
        return next((1 / rank for rank, item in enumerate(order[:k], 1) if relevant[item]), 0.0)

    def precision(order: list[int]) -> float:
        return sum(relevant[order[:rank]].mean() for rank in range(1, min(k, 6) + 1) if relevant[order[rank - 1]])

    assert gains[relevant] @ discounted_gain(ranks, k) == pytest.approx(over_all_orders(scores, ndcg))
    assert found_at(ranks, k).sum() == pytest.approx(over_all_orders(scores, recall))
    assert reciprocal_rank(ranks, k).max() == pytest.approx(over_all_orders(scores, reciprocal))
    assert average_precision(ranks, k).sum() == pytest.approx(over_all_orders(scores, precision))


def test_rounding_in_float32_is_a_tie_and_a_real_difference_is_none():
    exact = ranks_of(np.array([0.7, 0.7, 0.7, 0.1]), np.array([False, True, False, True]))
    noisy = ranks_of(np.array([0.7 + 1e-7, 0.7, 0.7 - 1e-7, 0.1]), np.array([False, True, False, True]))
    assert exact.tied.tolist() == noisy.tied.tolist() == [3, 1]
    apart = ranks_of(np.array([0.7 + 1e-5, 0.7, 0.7 - 1e-5, 0.1]), np.array([False, True, False, True]))
    assert (apart.above.tolist(), apart.tied.tolist()) == ([1, 3], [1, 1])


def collapsed(number: int, position: int) -> tuple[dict[str, str], dict[str, str], dict[str, dict[str, int]]]:
    """Documents of one and the same text, of which the one at a position is relevant to every query."""
    corpus = {f"d{row:03}": "the cat" for row in range(number)}
    return (
        corpus,
        {f"q{row}": f"a dog {row}" for row in range(5)},
        {f"q{row}": {f"d{position:03}": 1} for row in range(5)},
    )


@pytest.mark.parametrize("position", [0, 30, 59])
def test_a_collapsed_model_has_what_chance_has(tiny_model, position: int):
    result = measure_retrieval(tiny_model, *collapsed(60, position))
    expected = {"mrr@10": sum(1 / k for k in range(1, 11)) / 60, "recall@1": 1 / 60, "recall@10": 1 / 6}
    expected["map@100"] = sum(1 / k for k in range(1, 61)) / 60
    expected["ndcg@10"] = sum(1 / np.log2(k + 1) for k in range(1, 11)) / 60
    for name, value in expected.items():
        assert result.metrics[name] == pytest.approx(value), name
    assert "in 5 of 5 queries a relevant document has the same score as others" in result.notes[-1]


def test_windows_of_documents_change_nothing(tiny_model, monkeypatch: pytest.MonkeyPatch):
    words = ["cat", "dog", "bird", "fish", "tree", "sun"]
    corpus = {f"d{i}": f"the {a} on {b}" for i, (a, b) in enumerate(itertools.product(words, words))}
    corpus |= {f"copy{i}": text for i, text in enumerate(list(corpus.values())[::5])}
    queries = {f"q{i}": f"a {word}" for i, word in enumerate(words)} | {"d3": corpus["d3"]}
    relevant = {query: {f"d{5 * i}": 1, f"copy{i}": 2, f"d{i + 7}": 1} for i, query in enumerate(queries)}
    whole = measure_retrieval(tiny_model, corpus, queries, relevant)
    monkeypatch.setattr("nearfar.evaluation.tasks.retrieval.WINDOW", (4, 4))
    parts = measure_retrieval(tiny_model, corpus, queries, relevant)
    assert parts.metrics == pytest.approx(whole.metrics)
    assert parts.notes == whole.notes


def test_a_query_that_is_a_document_is_no_candidate(tiny_model):
    corpus = {"q0": "the cat sits", "a": "the cat sits on the mat", "b": "interest", "c": "the bank"}
    alone = measure_retrieval(
        tiny_model, {k: v for k, v in corpus.items() if k != "q0"}, {"q0": "the cat sits"}, {"q0": {"a": 1}}
    )
    both = measure_retrieval(tiny_model, corpus, {"q0": "the cat sits"}, {"q0": {"a": 1}})
    assert both.metrics["ndcg@10"] == alone.metrics["ndcg@10"] == 1
    assert both.notes[0] == "1 of 1 query is a document too, and no candidate for itself, as in BEIR and mteb"
    judged = measure_retrieval(tiny_model, corpus, {"q0": "the cat sits"}, {"q0": {"a": 1, "q0": 1}})
    assert judged.metrics["recall@1"] == 0.5  # it is relevant, so it is a candidate


def test_pairs_in_both_directions(tiny_model):
    pairs = [
        ("the cat sits", "a cat sits down"),
        ("money in the bank", "the bank has money"),
        ("sun", "the sun is warm"),
    ]
    rows = [*pairs, *((b, a) for a, b in pairs)]
    data = Dataset.from_dict({"anchor": [a for a, _ in rows], "positive": [b for _, b in rows]})
    found = evaluate(tiny_model, data)
    assert found.notes[0] == "6 of 6 queries are documents too, and no candidate for itself, as in BEIR and mteb"
    # Its own text is the most similar to every query, and would be first.
    assert found.metrics["recall@1"] > 0


@pytest.mark.parametrize("seed", range(6))
def test_labels_that_are_equally_close_count_in_part(seed: int):
    draw = np.random.default_rng(seed)
    similarity, wanted = draw.integers(0, 3, (7, 4)) / 4, draw.permutation(np.arange(7) % 4)
    told = closest(similarity)
    for k in (1, 2, 3, 4):
        expected = [
            over_all_orders(row, lambda order, own=own, k=k: own in order[:k])
            for row, own in zip(similarity, wanted, strict=True)
        ]
        assert among_closest(similarity, wanted, k) == pytest.approx(expected)
    assert told[np.arange(7), wanted] == pytest.approx(among_closest(similarity, wanted, 1))
    certain = np.eye(4)[draw.integers(0, 4, 7)]
    assert macro_f1(certain, wanted) == pytest.approx(f1_score(wanted, certain.argmax(1), average="macro"))


class _Constant(Scores):
    words = "a scorer"

    def score_pairs(self, first, second, *, batch_size=64):
        return np.zeros(len(first), np.float32)


@pytest.mark.parametrize("position", range(4))
def test_a_reranker_that_gives_one_score_has_what_chance_has(position: int):
    from nearfar.evaluation.tasks import Asked
    from nearfar.evaluation.tasks.ranking import measure

    scores = [0.0] * 4
    scores[position] = 1.0
    data = Dataset.from_dict({"query": ["a"] * 3, "candidates": [list("wxyz")] * 3, "scores": [scores] * 3})
    found = measure(_Constant(), data, Asked())
    assert found.metrics["mrr@10"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert found.metrics["ndcg@10"] == pytest.approx(sum(1 / np.log2(k + 1) for k in range(1, 5)) / 4)
    assert "in 3 of 3 queries a relevant candidate has the same score as others" in found.notes[-1]

"""Ranking of each query's own candidates, by scores made for these tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import ndcg_score

from nearfar.errors import InputError
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.tasks.ranking import dcg, measure
from nearfar.evaluation.tasks.task import Asked


class Told:
    """Scores a candidate by the number that it is."""

    def score_relevance(self, first: list[str], second: list[str], *, batch_size: int) -> np.ndarray:
        self.pairs, self.batch_size = list(zip(first, second, strict=True)), batch_size
        return np.array([float(text) for text in second])


def rows(*queries: tuple[list[float], list[float]]) -> Dataset:
    """For each query what the model will say of its candidates, and their gains."""
    return Dataset.from_dict(
        {
            "query": [f"q{i}" for i in range(len(queries))],
            "candidates": [[str(value) for value in told] for told, _ in queries],
            "scores": [gains for _, gains in queries],
        }
    )


def test_worked_example() -> None:
    model = Told()
    # Ranks of the gains 3, 0, 1: second, first, third. Of the second query the only relevant one is first.
    data = rows(([0.5, 0.9, 0.1], [3, 0, 1]), ([0.9, 0.8], [1, 0]))
    found = measure(model, data, Asked(batch_size=7, seed=3))  # type: ignore[arg-type]
    first = (3 / np.log2(3) + 1 / 2) / (3 + 1 / np.log2(3))
    assert found.per_item is not None
    assert found.per_item["ndcg@10"].tolist() == pytest.approx([first, 1])
    assert found.per_item["mrr@10"].tolist() == pytest.approx([1 / 2, 1])
    assert (found.task, found.primary, found.n, found.notes) == ("ranking", "ndcg@10", 2, ())
    assert found.metrics == pytest.approx({"ndcg@10": (first + 1) / 2, "mrr@10": 0.75})
    assert found.interval == bootstrap_mean(found.per_item["ndcg@10"], seed=3)
    # All pairs are scored at once, in the order of the rows.
    assert model.pairs == [("q0", "0.5"), ("q0", "0.9"), ("q0", "0.1"), ("q1", "0.9"), ("q1", "0.8")]
    assert model.batch_size == 7


def test_ndcg_is_scikit_learns_with_ties_and_beyond_the_tenth_rank() -> None:
    rng = np.random.default_rng(0)
    data = [(rng.integers(0, 6, 25).astype(float).tolist(), rng.integers(0, 3, 25).astype(float).tolist())
            for _ in range(20)]  # fmt: skip
    found = measure(Told(), rows(*data), Asked(seed=5))  # type: ignore[arg-type]
    assert found.per_item is not None
    assert found.interval == bootstrap_mean(found.per_item["ndcg@10"], seed=5)
    assert found.interval != bootstrap_mean(found.per_item["ndcg@10"], seed=0)
    expected = [ndcg_score([gains], [told], k=10) for told, gains in data]
    assert found.per_item["ndcg@10"].tolist() == pytest.approx(expected)


def test_a_draw_is_drawn_in_no_favour() -> None:
    # All scores are equal: every order counts alike.
    flat = dcg(np.zeros(4), np.array([1.0, 0, 0, 0]))
    assert flat == pytest.approx(np.mean(1 / np.log2(np.arange(2, 6))))
    found = measure(Told(), rows(([1, 1, 1, 1], [1, 0, 0, 0]), ([1, 1, 1, 1], [0, 0, 0, 1])), Asked())  # type: ignore[arg-type]
    assert found.per_item is not None
    assert found.per_item["mrr@10"].tolist() == pytest.approx([np.mean([1, 1 / 2, 1 / 3, 1 / 4])] * 2)
    assert found.per_item["ndcg@10"].tolist() == pytest.approx([flat, flat])


@pytest.mark.parametrize(("rank", "reciprocal"), [(1, 1), (10, 1 / 10), (11, 0)])
def test_ten_ranks_count(rank: int, reciprocal: float) -> None:
    gains = [float(i == rank - 1) for i in range(12)]
    told = [float(-i) for i in range(12)]
    found = measure(Told(), rows((told, gains)), Asked())  # type: ignore[arg-type]
    assert found.metrics["mrr@10"] == pytest.approx(reciprocal)
    assert found.metrics["ndcg@10"] == pytest.approx(1 / np.log2(rank + 1) if rank <= 10 else 0)
    assert found.interval is None  # of one query


def test_gains_below_zero_are_none() -> None:
    found = measure(Told(), rows(([0.9, 0.5], [-3, 1])), Asked())  # type: ignore[arg-type]
    assert found.metrics["ndcg@10"] == pytest.approx(1 / np.log2(3))
    assert found.metrics["mrr@10"] == pytest.approx(1 / 2)


def test_queries_without_a_relevant_candidate_among_several_are_counted() -> None:
    good: Any = ([0.9, 0.5], [1, 0])
    found = measure(Told(), rows(([0.9, 0.5], [0, 0]), good, ([0.9], [1]), ([0.9, 0.5], [-1, 0])), Asked())  # type: ignore[arg-type]
    assert (found.n, found.score) == (1, 1.0)
    assert len(found.notes) == 1
    assert found.notes[0].split()[0] == "3"
    with pytest.raises(InputError) as caught:
        measure(Told(), rows(([0.9, 0.5], [0, 0]), ([0.9], [1])), Asked())  # type: ignore[arg-type]
    assert caught.value.field == "scores"


def test_candidates_and_scores_are_as_many() -> None:
    with pytest.raises(InputError, match="row 2") as caught:
        measure(Told(), rows(([0.9, 0.5], [1, 0]), ([0.9, 0.5, 0.1], [1, 0])), Asked())  # type: ignore[arg-type]
    assert caught.value.field == "scores"

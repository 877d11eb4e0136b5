"""Results on a part of the items."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.errors import InputError
from nearfar.evaluation.parts import halves, part_of
from nearfar.evaluation.result import Result


def test_halves_are_all_items_once() -> None:
    for items in (10, 11, 248):
        first, second = halves(items, seed=3)
        assert sorted([*first, *second]) == list(range(items))
        assert len(first) - len(second) == items % 2
        assert (first, second) == halves(items, seed=3) != halves(items, seed=4)


def test_few_items_are_not_split() -> None:
    with pytest.raises(InputError, match="10"):
        halves(9)


def test_the_score_is_that_of_the_part() -> None:
    values = {"ndcg@10": np.array([0.0, 1.0, 0.5, 0.25]), "mrr@10": np.zeros(4)}
    part = part_of(Result("retrieval", "ndcg@10", {"ndcg@10": 0.4375, "mrr@10": 0.0}, 4, per_item=values), [1, 3])
    assert part.n == 2
    assert part.score == 0.625
    assert part.per_item is not None
    assert part.per_item["ndcg@10"].tolist() == [1.0, 0.25]


def test_a_correlation_is_computed_again() -> None:
    values = {"similarity": np.array([0.1, 0.9, 0.2, 0.8]), "score": np.array([5.0, 4.0, 1.0, 2.0])}
    whole = Result("sts", "spearman", {"spearman": -0.2}, 4, per_item=values)
    assert part_of(whole, [1, 2, 3]).score == pytest.approx(1.0)
    assert part_of(whole, [0, 1]).score == pytest.approx(-1.0)


def test_a_task_without_values_per_item_is_refused() -> None:
    with pytest.raises(InputError, match="cluster"):
        part_of(Result("cluster", "v_measure", {"v_measure": 0.5}, 20), [0, 1])

"""Scores as losses need them."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.data.scores import with_unit_scores
from nearfar.errors import InputError


def rows(*scores: float) -> Dataset:
    return Dataset.from_dict({"sentence1": ["a"] * len(scores), "score": list(scores)})


def test_scores_are_scaled_only_if_they_are_outside_of_0_to_1() -> None:
    assert with_unit_scores(rows(0.2, 0.9, 0.4))["score"][:] == [0.2, 0.9, 0.4]
    assert with_unit_scores(rows(1, 5, 3))["score"][:] == [0, 1, 0.5]
    assert with_unit_scores(rows(-1, 1, 0))["score"][:] == [0, 1, 0.5]


def test_equal_scores_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        with_unit_scores(rows(3, 3))
    assert caught.value.field == "score"

"""Scores of pairs as targets of a loss."""

from __future__ import annotations

from typing import Any

import pytest
from datasets import Dataset

from nearfar.data.targets import targets_of
from nearfar.errors import InputError


@pytest.mark.parametrize(
    ("scores", "kind", "logits"),
    [([1.5, -2.0], "regression", 1), ([0.0, 1.0, 0.3], "binary", 1), ([2.0, 0.0, 1.0], "classes", 3)],
)
def test_scores_and_number_of_logits(scores: list[float], kind: Any, logits: int) -> None:
    assert targets_of(Dataset.from_dict({"score": scores}), kind) == (scores, logits)


@pytest.mark.parametrize(
    ("scores", "kind"),
    [([1.0, 1.0], "regression"), ([0.0, 1.1], "binary"), ([-0.1, 1.0], "binary"), ([0.0, 2.0], "classes")],
)
def test_scores_that_do_not_fit(scores: list[float], kind: Any) -> None:
    with pytest.raises(InputError) as caught:
        targets_of(Dataset.from_dict({"score": scores}), kind)
    assert caught.value.field == "score"

"""Perplexity from log-probabilities that are given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.tasks.perplexity import MOST_AT_ONCE, measure
from nearfar.evaluation.tasks.task import Asked


class Told:
    """A language model whose answers are known."""

    block = 16

    def __init__(self, values: list[float], predicts: tuple[str, ...] = ("text",)) -> None:
        self.values, self.predicts = np.array(values), predicts

    def log_probability(self, data: Any, *, batch_size: int, progress: Any) -> np.ndarray:
        self.batch_size, self.progress = batch_size, progress
        return self.values


ROWS = Dataset.from_dict({"text": ["a"]})


def test_perplexity_is_that_of_the_mean_token() -> None:
    model = Told([-1.0, -2.0, -3.0])
    found = measure(model, ROWS, Asked(seed=4))
    assert found.metrics == pytest.approx({"log_probability": -2.0, "perplexity": math.exp(2)})
    assert (found.task, found.primary, found.n) == ("perplexity", "log_probability", 3)
    assert found.per_item is not None
    assert found.per_item["log_probability"].tolist() == [-1, -2, -3]
    assert found.interval == bootstrap_mean([-1.0, -2.0, -3.0], seed=4)
    assert "16" in found.notes[0]


def test_items_of_other_models_are_rows() -> None:
    assert measure(Told([-1.0, -2.0], ("anchor", "positive")), ROWS, Asked()).notes == ()


def test_what_no_number_can_say_is_still_a_number() -> None:
    found = measure(Told([-5000.0]), ROWS, Asked())
    assert math.isfinite(found.metrics["perplexity"])
    assert found.metrics["perplexity"] > 1e300
    assert found.interval is None


def test_few_items_at_once() -> None:
    model = Told([-1.0, -2.0])
    measure(model, ROWS, Asked(batch_size=64))
    assert model.batch_size == MOST_AT_ONCE
    measure(model, ROWS, Asked(batch_size=2))
    assert model.batch_size == 2

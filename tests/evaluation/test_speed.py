"""Which texts are timed, and how fast."""

from __future__ import annotations

from datasets import Dataset

from nearfar.data import Retrieval
from nearfar.evaluation.speed import texts_of, texts_per_second
from nearfar.models.loading import load


def test_each_text_is_taken_once_up_to_the_number() -> None:
    rows = Dataset.from_dict({"anchor": ["a b", "a b", "c"], "positive": ["d", "c", "e"]})
    assert texts_of(rows) == ["a b", "c", "d", "e"]
    assert texts_of(rows, 2) == ["a b", "d"]
    assert texts_of(Retrieval({"1": "x", "2": "y", "3": "x"}, {}, {})) == ["x", "y"]


def test_the_speed_is_positive(tiny_model_folder) -> None:
    assert texts_per_second(load(tiny_model_folder), ["the cat", "a dog"]) > 0

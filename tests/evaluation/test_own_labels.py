"""A classifier's own labels, on scores that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import f1_score

from nearfar.data.utterances import Utterance
from nearfar.errors import InputError
from nearfar.evaluation.tasks.own_labels import measure
from nearfar.evaluation.tasks.task import Asked


class Model:
    """Texts are the number of the label that is predicted, among a, b and c."""

    labels = ("a", "b", "c")

    def __init__(self, medium: str | None = None) -> None:
        self.medium = medium

    def label_scores(self, items: list[str], *, batch_size: int) -> np.ndarray:
        return np.eye(3)[[int(item) for item in items]]

    def understood(self, items: list[str], *, batch_size: int) -> list[Utterance] | None:
        return None


def rows(told: str, gold: str) -> Dataset:
    return Dataset.from_dict({"text": list(told), "label": list(gold)})


def test_accuracy_f1_and_chance() -> None:
    found = measure(Model(), rows("001122", "abbbcc"), Asked())
    assert found.per_item is not None
    assert found.per_item["accuracy"].tolist() == [1, 0, 1, 1, 1, 1]
    assert found.score == pytest.approx(5 / 6)
    assert found.metrics["f1"] == pytest.approx(f1_score(list("abbbcc"), list("aabbcc"), average="macro"))
    assert found.chance == (pytest.approx(1 / 3), 0.5)
    assert found.notes == ()


def test_unknown_labels_count_as_wrong() -> None:
    found = measure(Model(), rows("0012", "azzc"), Asked())
    assert found.score == 0.5
    assert "2 of 4" in found.notes[0]


def test_rows_that_the_model_does_not_read_are_refused() -> None:
    with pytest.raises(InputError, match="'audio'"):
        measure(Model("audio"), rows("0", "a"), Asked())
    with pytest.raises(InputError) as caught:
        measure(Model(), rows("0", "a"), Asked(train=rows("0", "a")))
    assert caught.value.field == "train"


def test_equal_scores_count_in_part() -> None:
    class Undecided(Model):
        def label_scores(self, items: Any, *, batch_size: int) -> np.ndarray:
            return np.ones((len(items), 3))

    assert measure(Undecided(), rows("00", "ab"), Asked()).score == pytest.approx(1 / 3)


def test_what_a_model_writes_is_measured_too() -> None:
    class Writes(Model):
        def understood(self, items: list[str], *, batch_size: int) -> list[Utterance]:
            return [Utterance("a", ("size=1",), "one two"), Utterance("c", (), "three")]

    data = rows("01", "ab").remove_columns("text").add_column("audio", ["0", "1"])
    model = Writes("audio")
    assert "wer" not in measure(model, data, Asked()).metrics
    found = measure(model, data.add_column("text", ["one two", "three four"]), Asked())
    assert (found.score, found.metrics["accuracy_written"], found.metrics["wer"]) == (1.0, 0.5, 0.25)
    assert "slu_f1" not in found.metrics
    slots = data.add_column("text", ["one two", "three four"]).add_column("slots", [["size=1"], ["size=2", "on"]])
    # Of three slots, the first is found: TP 1, FN 2 for words and for characters.
    assert measure(model, slots, Asked()).metrics["slu_f1"] == pytest.approx(4 / (4 + 4))

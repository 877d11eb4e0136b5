"""The words of a turn, predicted by the action before it."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.dialogue import Log
from nearfar.dialogue.quality.word_model import word_losses


def log_of(*dialogues: list[str]) -> Log:
    return Log.of((str(i), [("a", text) for text in turns]) for i, turns in enumerate(dialogues))


def part(log: Log, *numbers: int) -> Log:
    return log.chosen(list(numbers))


def test_losses_by_hand():
    # Words in two texts of the known dialogues: "hi", "you". All others are one.
    log = log_of(["hi you", "you two"], ["hi"], ["hi", "two hi"])
    known, new = part(log, 0, 1), part(log, 2)
    found = word_losses(known, new, np.zeros(3, int), np.zeros(2, int), 1)
    assert found is not None
    losses, of = found
    n = np.array([2.0, 2.0, 1.0])
    p = (n + 0.5) / (n + 0.5).sum()
    q = (n + 100 * p) / (n.sum() + 100)
    second = -(np.log(q[0]) + np.log(q[2])) / 2
    assert losses.tolist() == pytest.approx([-np.log(q[0]), second, second])
    assert of.tolist() == [0, 0, 0]


def test_actions_that_follow_in_order_predict_words():
    log = log_of(*[["red red blue", "green green lime", "red blue", "green lime"] * 3] * 20)
    known, new = part(log, *range(15)), part(log, *range(15, 20))
    turn = np.tile([0, 1], 120)
    with_actions = word_losses(known, new, turn[: known.turns], turn[: new.turns], 2)
    without = word_losses(known, new, np.zeros(known.turns, int), np.zeros(new.turns, int), 1)
    assert with_actions is not None
    assert without is not None
    assert with_actions[0].mean() < without[0].mean()


def test_no_words_no_losses():
    log = log_of(["?", "!"], ["?"], ["hi"])
    assert word_losses(part(log, 0), part(log, 1), np.zeros(2, int), np.zeros(1, int), 1) is None
    assert word_losses(part(log, 2), part(log, 1), np.zeros(1, int), np.zeros(1, int), 1) is None

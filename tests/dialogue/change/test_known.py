"""The actions of a finished flow as something to assign other turns to."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.dialogue.change.known import radii
from nearfar.dialogue.clustering import Actions
from nearfar.dialogue.log import Log

from ..planted import known_of, planted


def test_about_one_turn_of_a_hundred_is_outside_of_its_action_whether_it_was_clustered_or_not():
    log, vectors, actions = planted(600, seed=0)
    known = known_of(log, vectors, actions)
    assert 0.001 < (known.outside >= 0).mean() < 0.02
    assert (known.turn == actions.turn).mean() > 0.99


def test_a_turn_is_compared_with_the_other_turns_of_its_action():
    """Two turns at right angles: the mean without one is the other, at a cosine of 0 instead of 0.7."""
    log = Log.of([("1", [("a", "one"), ("a", "two")])])
    actions = Actions(np.zeros(1, np.int32), np.zeros(2, np.int32), np.ones(2, np.float32), [])
    kept, said = radii(log, np.eye(2, dtype=np.float16), actions, "ward")
    assert kept["means"].tolist() == [[0.5, 0.5]]
    assert kept["spread"] == pytest.approx(0.5)
    assert kept["closest"] == pytest.approx(0, abs=0.01)
    assert said["turn"].tolist() == [0, 0]


def test_equal_texts_are_inside():
    log = Log.of([(str(i), [("a", "same"), ("a", f"other {i % 2}")]) for i in range(9)])
    vectors = np.asarray([[0.6, 0.8], [1, 0], [1, 0]], np.float16)
    turn = np.tile([0, 1], 9).astype(np.int32)
    actions = Actions(np.zeros(2, np.int32), turn, np.ones(18, np.float32), [])
    _, said = radii(log, vectors, actions, "ward")
    assert said["turn"].tolist() == turn.tolist()
    assert (said["outside"] < 0).all()


def test_the_speakers_may_come_in_another_order():
    log, vectors, actions = planted(20, seed=0)
    known = known_of(log, vectors, actions)
    turned = known.in_order_of(list(reversed(log.speakers)))
    assert turned.speakers == list(reversed(log.speakers))
    assert (np.diff(turned.speaker) >= 0).all()
    for action, name in enumerate(known.names):
        assert turned.names.index(name) == turned.turn[known.turn == action][0]
    assert (turned.speaker[turned.turn] == turned.said_by).all()
    back = turned.in_order_of(log.speakers)
    assert back.names == known.names
    assert (back.turn == known.turn).all()
    assert (back.action == known.action).all()

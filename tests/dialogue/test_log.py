"""Dialogues in memory."""

from __future__ import annotations

import numpy as np

from nearfar.dialogue.log import Log, steps

from .helpers import dialogues


def test_steps_begin_and_end_every_dialogue():
    log = Log.of([("x", [("a", "1"), ("a", "2")]), ("y", [("a", "3")])])
    before, after, of = steps(log, np.asarray([5, 6, 7]), start=0, end=1)
    assert list(zip(before, after, of, strict=True)) == [(0, 5, 0), (5, 6, 0), (6, 1, 0), (0, 7, 1), (7, 1, 1)]


def test_texts_are_stored_once_and_speakers_are_in_the_order_of_their_first_turns():
    log = Log.of([("x", [("b", "one  two"), ("a", "one two")]), ("y", [("a", " three\n")])])
    assert (log.texts, log.speakers) == (["one two", "three"], ["b", "a"])
    assert (len(log), log.turns) == (2, 3)
    assert dialogues(log) == {"x": [("b", "one two"), ("a", "one two")], "y": [("a", "three")]}


def test_chosen_dialogues_keep_all_speakers_and_texts_and_a_sample_only_its_own():
    log = Log.of([(str(i), [(f"speaker {i}", f"text {i}")]) for i in range(5)])
    assert dialogues(log.chosen([3, 1])) == {"3": [("speaker 3", "text 3")], "1": [("speaker 1", "text 1")]}
    assert len(log.chosen([3]).texts) == 5
    part = log.sampled(2, seed=1)
    assert len(part) == len(part.texts) == len(part.speakers) == 2
    assert part.ids == sorted(part.ids)
    assert log.sampled(5) is log

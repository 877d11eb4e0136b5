"""A new log in the actions of an earlier flow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nearfar.dialogue.change.update import check_same, update

from ..helpers import refused
from ..planted import SETTINGS, known_of, planted


@pytest.fixture(scope="module")
def known():
    return known_of(*planted(150, seed=0))


def test_turns_are_assigned_to_the_actions_that_they_are_of(known):
    log, vectors, truth = planted(80, seed=1)
    found = update(log, vectors, known)
    assert (found.actions.turn == truth.turn).mean() > 0.99
    assert found.earlier.tolist() == [0, 1, 2, 3]
    assert found.forced < 0.03 * log.turns
    assert (found.actions.speaker[found.actions.turn] == log.speaker).all()


def test_a_new_action_is_found_and_turns_of_the_earlier_log_stay(known):
    log, vectors, truth = planted(80, seed=1, new=0.4)
    found = update(log, vectors, known)
    assert found.earlier.tolist() == [0, 1, 2, 3, -1]
    new = truth.turn == 4
    assert (found.actions.turn == 4)[new].mean() > 0.95
    assert (found.actions.turn == 4)[~new].mean() < 0.01
    assert (found.before.turn == known.turn).mean() > 0.99
    later = found.known
    assert len(later.means) == len(later.closest) == 5
    assert (later.turn == found.actions.turn).all()


def test_an_update_of_an_update_knows_the_new_action(known):
    log, vectors, _ = planted(80, seed=1, new=0.4)
    later = update(log, vectors, known).known
    log, vectors, truth = planted(80, seed=2, new=0.4)
    named = [*known.names, "new"]
    again = update(
        log, vectors, replace(later, names=named, words=[()] * 5, named_by=["utterance"] * 5, examples=[[]] * 5)
    )
    assert again.earlier.tolist() == [0, 1, 2, 3, 4]
    assert (again.actions.turn == truth.turn).mean() > 0.97


def test_what_occurs_once_or_twice_is_no_new_action(known):
    log, vectors, _ = planted(80, seed=1)
    odd = vectors.copy()
    odd[3] = odd[9] = np.eye(vectors.shape[1])[-1]
    found = update(log, odd, known)
    assert found.earlier.tolist() == [0, 1, 2, 3]
    assert found.forced >= 2


def test_speakers_in_another_order_are_matched_by_name(known):
    log, vectors, truth = planted(40, seed=1)
    turned = known.in_order_of(["agent", "user"])
    found = update(log, vectors, turned)
    assert (found.actions.turn == truth.turn).mean() > 0.99


def test_another_encoder_setting_or_speaker_is_refused(known):
    log, _, _ = planted(4, seed=1)
    check_same(known, log, SETTINGS, "old.html")
    for settings in (SETTINGS | {"encoder": "x"}, SETTINGS | {"linkage": "average"}, SETTINGS | {"slots": True}):
        assert refused(lambda settings=settings: check_same(known, log, settings, "old.html")) == (
            "old.html",
            None,
            "--update",
        )
    other, _, _ = planted(4, seed=1, speakers=("caller", "agent"))
    assert refused(lambda: check_same(known, other, SETTINGS, "old.html")) == ("old.html", None, "--update")

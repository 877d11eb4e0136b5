"""Names of actions from labels and slots."""

from __future__ import annotations

import numpy as np

from flows import flow_of
from nearfar.dialogue.slots.texts import Slots
from nearfar.dialogue.words.labels import Safe, distinct, name_by_labels, propose, sides_of
from nearfar.dialogue.words.naming import Described
from nearfar.models.action_labels import ActionLabel, ActionLabels

AXES = np.eye(6, dtype=np.float32)
LABELS = ActionLabels(
    [
        ActionLabel("agent", ("request",), ("date",)),
        ActionLabel("agent", ("request",), ("time",)),
        ActionLabel("user", ("inform",), ("date",)),
        ActionLabel("user", ("good bye",), ()),
        ActionLabel("agent", ("good bye",), ()),
    ],
    AXES[:5],
)


def near(*of: int) -> np.ndarray:
    vector = AXES[list(of)].sum(0)
    return vector / np.linalg.norm(vector)


def test_proposals_have_slots_only_where_labels_agree():
    means = np.stack([near(0), near(0, 1), near(2), near(0, 4), AXES[5]])
    found = propose(means, np.asarray([0, 0, 1, 0, 0]), ["agent", "user"], LABELS, Safe(0.6, 0.6, 0.6))
    assert [None if each is None else (each.label.acts[0], each.slots) for each in found] == [
        ("request", True),
        ("request", False),
        ("inform", True),
        None,  # two acts are equally near
        None,  # no label is near
    ]


def test_labels_of_the_other_side_are_not_proposed():
    assert propose(AXES[[2]], np.asarray([0]), ["agent"], LABELS) == [None]


def test_sides_are_those_of_the_nearest_labels():
    flow = flow_of([("1", [("anna", "x", "When?"), ("ben", "y", "Monday"), ("anna", "z", "Bye")])])
    assert sides_of(flow.log, AXES[[0, 2, 4]], LABELS) == ["agent", "user"]


def test_names_say_where_they_come_from():
    turns = [("anna", "x", "When?"), ("ben", "y", "Yes, on Monday"), ("ben", "n", "five five"), ("anna", "z", "What?")]
    flow = flow_of([("1", turns)])
    named = name_by_labels(flow.log, flow.actions, flow.described, AXES[[0, 2, 5, 5]], LABELS, Slots.of(flow.log.texts))
    assert [(each.name, each.source) for each in named] == [
        ("ask for the date", "labels"),
        ("What?", "utterance"),
        ("give the date", "labels"),
        ("give a number", "slots"),
    ]
    assert [each.examples for each in named] == [each.examples for each in flow.described]
    without = name_by_labels(flow.log, flow.actions, flow.described, AXES[[0, 2, 5, 5]], None, None)
    assert without == flow.described


def test_equal_names_of_a_speaker_are_told_apart_by_words_and_numbers():
    described = [Described("thank", words, ()) for words in (("thanks", "very"), ("lot",), ("thanks",), (), ())]
    named = distinct(described, np.asarray([0, 0, 0, 1, 1]))
    assert [each.name for each in named] == ["thank (thanks)", "thank (lot)", "thank (thanks) 2", "thank", "thank 2"]
    vague = distinct(described[:1], np.asarray([0]), [True])
    assert [each.name for each in vague] == ["thank (thanks)"]

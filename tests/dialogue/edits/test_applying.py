"""Edits of actions."""

from __future__ import annotations

import numpy as np

from flows import booking_flow
from nearfar.dialogue.edits.applying import Edited, apply_edits
from nearfar.dialogue.edits.file import Edit, Edits, Group, Reference
from nearfar.dialogue.result import Flow
from nearfar.dialogue.words.wording import Wording

from ..helpers import refused

FLOW = booking_flow(30)


def vectors(flow: Flow) -> np.ndarray:
    """A direction for each action, and one for each number in the texts."""
    found = np.zeros((len(flow.log.texts), 20), np.float32)
    for turn, text in zip(flow.actions.turn, flow.log.text, strict=True):
        found[text, turn] = 1
        found[text, 15 + int(next(c for c in flow.log.texts[text] if c.isdigit()))] = 0.3
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def action(prefix: str) -> int:
    return next(i for i, of in enumerate(FLOW.described) if of.name.startswith(prefix))


def reference(prefix: str) -> Reference:
    of = FLOW.described[action(prefix)]
    speaker = FLOW.speaker_of(action(prefix) + 2)
    return Reference(speaker, tuple(FLOW.log.texts[text] for text, _ in of.examples))


def edited(*edits: Edit, splits: bool = True) -> Edited:
    of = Edits("edits.json", edits, tuple({} for _ in edits))
    numbers = range(len(edits))
    wording = Wording(FLOW.log, vectors(FLOW))
    return apply_edits(FLOW.log, vectors(FLOW), FLOW.actions, FLOW.described, of, numbers, wording, splits=splits)


def names(found: Edited) -> list[str]:
    return [of.name for of in found.described]


def test_renaming_changes_a_name_and_nothing_else():
    found = edited(Edit("rename", (reference("Which city"),), "ask for the city"))
    assert (found.actions.turn == FLOW.actions.turn).all()
    assert (found.actions.closeness == FLOW.actions.closeness).all()
    at = action("Which city")
    assert names(found)[at] == "ask for the city"
    assert found.described[at].examples == FLOW.described[at].examples
    assert [*found.described[:at], *found.described[at + 1 :]] == [*FLOW.described[:at], *FLOW.described[at + 1 :]]
    assert found.notes == []


def test_merged_actions_are_one_with_the_name_of_the_larger():
    pair = (reference("Which city"), reference("For what date"))
    first, second = action("Which city"), action("For what date")
    sizes = np.bincount(FLOW.actions.turn)
    found = edited(Edit("merge", pair))
    assert len(found.actions) == len(FLOW.actions) - 1
    merged = int(found.became[first])
    assert merged == found.became[second]
    assert (found.actions.turn == merged).sum() == sizes[first] + sizes[second]
    assert names(found)[merged] == FLOW.described[first if sizes[first] >= sizes[second] else second].name
    assert (found.actions.speaker[found.actions.turn] == FLOW.log.speaker).all()
    assert (np.diff(found.actions.speaker) >= 0).all()
    assert names(edited(Edit("merge", pair, "ask")))[merged] == "ask"


def test_splitting_clusters_the_utterances_again():
    found = edited(Edit("split", (reference("Which city"),), parts=3))
    at = action("Which city")
    assert found.became[at] == -1
    assert len(found.actions) == len(FLOW.actions) + 2
    parts = [set(FLOW.log.text[found.actions.turn == at + i].tolist()) for i in range(3)]
    assert [len(part) for part in parts] == [1, 1, 1]
    assert set().union(*parts) == set(FLOW.log.text[FLOW.actions.turn == at].tolist())
    assert {names(found)[at + i] for i in range(3)} == {FLOW.log.texts[text] for part in parts for text in part}


def test_splitting_by_examples_puts_similar_utterances_together():
    groups = (Group(("Which city? 1",), "one"), Group(("Which city? 0",)))
    found = edited(Edit("split", (reference("Which city"),), groups=groups))
    at = action("Which city")
    assert names(found)[at] == "one"
    texts = {FLOW.log.texts[text] for text in FLOW.log.text[found.actions.turn == at].tolist()}
    assert "Which city? 1" in texts
    assert "Which city? 0" not in texts
    assert found.notes == []


def test_later_edits_see_what_earlier_ones_left():
    found = edited(
        Edit("split", (reference("Which city"),), parts=3),
        Edit("rename", (Reference("agent", ("Which city? 2",)),), "two"),
        Edit("merge", (reference("Which time"), Reference("agent", ("Which city? 1",))), "both"),
    )
    turns = {name: found.actions.turn == i for i, name in enumerate(names(found))}
    said = lambda name: {FLOW.log.texts[text] for text in FLOW.log.text[turns[name]].tolist()}
    assert said("two") == {"Which city? 2"}
    assert said("both") == {"Which city? 1", *(f"Which time? {i}" for i in range(3))}


def test_edits_find_their_actions_in_a_log_that_has_grown():
    more = booking_flow(60, seed=3, variants=5)
    renaming = Edit("rename", (reference("Next Monday"),), "tell the date")
    of = Edits("edits.json", (renaming,), ({},))
    wording = Wording(more.log, vectors(more))
    found = apply_edits(more.log, vectors(more), more.actions, more.described, of, [0], wording)
    [at] = [i for i, name in enumerate(names(found)) if name == "tell the date"]
    assert more.described[at].name.startswith("Next Monday")


def test_edits_that_match_nothing_are_noted_with_file_and_field():
    found = edited(
        Edit("rename", (Reference("agent", ("Never said.",)),), "x"),
        Edit("rename", (Reference("nobody", ("Which city? 0",)),), "x"),
        Edit("merge", (reference("Which city"), Reference("agent", ("Never said.",))), "x"),
        Edit("split", (Reference("agent", ("Which city? 0",)),), parts=9),
    )
    places = [note.split(" ")[1].rstrip(":") for note in found.notes]
    assert places == ["edits[0].action", "edits[1].action", "edits[2].actions[1]", "edits[3].parts"]
    assert all(note.startswith("edits.json: ") for note in found.notes)
    assert "x" not in names(found)


def test_examples_of_several_actions_are_noted_and_the_most_decide():
    mixed = Reference("agent", ("Which time? 0", "Which city? 0", "Which city? 1", "For what date? 1"))
    found = edited(Edit("rename", (mixed,), "city"))
    assert names(found)[action("Which city")] == "city"
    assert len(found.notes) == 1


def test_actions_of_an_earlier_flow_cannot_be_split():
    split = Edit("split", (reference("Which city"),), parts=2)
    assert refused(lambda: edited(split, splits=False)) == ("edits.json", None, "edits[0]")
    assert len(edited(split).actions) == len(FLOW.actions) + 1

"""Names of actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows import booking_flow, flow_of
from nearfar.dialogue.words.naming import name_by_model, shortened
from nearfar.generation import Decoding, Prompt


class Fake:
    """Names an action by what its prompt contains."""

    identity = "fake 1"

    def __init__(self, names: dict[str, str]) -> None:
        self.names, self.asked = names, []

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        for number, prompt in enumerate(prompts):
            self.asked.append(prompt.text)
            last = prompt.text.rpartition("Utterances:")[2]
            yield number, next(name for mark, name in self.names.items() if mark in last)


def test_the_name_is_the_closest_utterance_and_the_words_are_characteristic():
    flow = booking_flow(40)
    for action, of in enumerate(flow.described):
        mine = flow.actions.turn == action
        closest = flow.log.texts[int(flow.log.text[mine][np.argmax(flow.actions.closeness[mine])])]
        assert of.name == closest == flow.log.texts[of.examples[0][0]]
        said = np.bincount(flow.log.text[mine], minlength=len(flow.log.texts))
        assert all(said[text] == count > 0 for text, count in of.examples)
    by_name = {of.name.split(" ")[0]: of.words for of in flow.described}
    assert "date" in by_name["For"]
    assert "people" in by_name["How"]


def test_words_are_compared_with_those_of_the_same_speaker():
    dialogues = [("1", [("a", "x", "red boat boat"), ("b", "y", "red car"), ("a", "z", "red tree tree")])]
    words = [of.words for of in flow_of(dialogues).described]
    assert words[0][0] == "boat"
    assert words[1][0] == "tree"
    assert set(words[2]) == {"red", "car"}


def test_texts_without_words_have_names_too():
    described = flow_of([("1", [("a", "x", "?!"), ("b", "y", "7")])]).described
    assert [(of.name, of.words) for of in described] == [("?!", ()), ("7", ())]


@pytest.mark.parametrize(
    ("text", "longest", "wanted"),
    [
        ("short", 10, "short"),
        ("one two three four", 12, "one two…"),
        ("one, two three", 6, "one…"),
        ("a" * 30, 10, "a" * 9 + "…"),
        ("  spaces \n here ", 20, "spaces here"),
    ],
)
def test_shortened(text, longest, wanted):
    found = shortened(text, longest)
    assert found == wanted
    assert len(found) <= longest


def test_a_model_names_actions_and_its_answers_are_reused(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    flow = flow_of([("1", [("a", "x", "Hello you"), ("b", "y", "Good day"), ("a", "z", "Farewell")])])
    fake = Fake({"Hello": ' "Greet the agent." ', "Good day": "Name: greet back", "Farewell": " - "})
    log = tmp_path / "names.jsonl"
    named = name_by_model(flow.described, flow.log.texts, fake, log)
    assert [of.name for of in named] == ["Greet the agent", "Farewell", "greet back"]
    assert (1, 3) in [record.args for record in caplog.records]
    assert [of.examples for of in named] == [of.examples for of in flow.described]
    assert [of.source for of in named] == ["model", "utterance", "model"]
    silent = Fake({})
    assert name_by_model(flow.described, flow.log.texts, silent, log) == named
    assert silent.asked == []


def test_the_model_gets_slots_and_the_proposed_name(tmp_path: Path):
    flow = flow_of([("1", [("a", "x", "Hello you"), ("b", "y", "Good day")])])
    described = [
        replace(flow.described[0], name="greet", source="labels", slots={"name": 3, "date": 1}),
        flow.described[1],
    ]
    fake = Fake({"Hello": "greets", "Good": "greets back"})
    name_by_model(described, flow.log.texts, fake, tmp_path / "names.jsonl")
    first, second = (prompt.rpartition("Utterances:")[2] for prompt in fake.asked)
    assert "Slots: name, date\nProposed: greet\nName:" in first
    assert "Slots" not in second
    assert "Proposed" not in second

"""What actions are called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from nearfar.dialogue.extraction import merged_by_name
from nearfar.dialogue.naming import Described, describe, name_by_model, same_names, shortened
from nearfar.generation import Decoding, Prompt

from .flows import booking_flow, flow_of


class Fake:
    """Names an action by what its prompt holds."""

    identity = "fake 1"

    def __init__(self, names: dict[str, str]) -> None:
        self.names, self.asked = names, []

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        for number, prompt in enumerate(prompts):
            self.asked.append(prompt.text)
            last = prompt.text.rpartition("Utterances:")[2]
            yield number, next(name for mark, name in self.names.items() if mark in last)


def test_the_closest_utterance_is_the_name_and_the_words_set_it_apart():
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


def test_words_are_weighed_against_the_same_speaker_alone():
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


def test_a_model_names_actions_and_its_answers_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    flow = flow_of([("1", [("a", "x", "Hello you"), ("b", "y", "Good day"), ("a", "z", "Farewell")])])
    fake = Fake({"Hello": ' "Greet the agent." ', "Good day": "Name: greet back", "Farewell": " - "})
    log = tmp_path / "names.jsonl"
    named = name_by_model(flow.described, flow.log.texts, fake, log)
    assert [of.name for of in named] == ["Greet the agent", "Farewell", "greet back"]
    assert "no name for 1 of 3 actions" in caplog.text
    assert [of.examples for of in named] == [of.examples for of in flow.described]
    silent = Fake({})
    assert name_by_model(flow.described, flow.log.texts, silent, log) == named
    assert silent.asked == []


def test_equal_names_of_one_speaker_become_one_action():
    flow = booking_flow(10)
    names = ["talk" if i in (1, 3, 5) else of.name for i, of in enumerate(flow.described)]
    described = [Described(name, of.words, of.examples) for name, of in zip(names, flow.described, strict=True)]
    speaker = flow.actions.speaker
    same = [i for i in (3, 5) if speaker[i] == speaker[1]]
    joined = same_names(described, speaker)
    assert all(joined[i] == 1 for i in same)
    actions, left = merged_by_name(flow.actions, described)
    assert len(actions) == len(left) == len(flow.described) - len(joined)
    assert np.bincount(actions.turn).sum() == flow.log.turns
    assert (actions.speaker[actions.turn] == flow.log.speaker).all()
    for action, of in enumerate(left):
        mine = set(flow.log.text[actions.turn == action].tolist())
        assert {text for text, _ in of.examples} <= mine
    assert describe(flow.log, flow.actions) == flow.described

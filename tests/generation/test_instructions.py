"""Prompts and the scores in their answers."""

from __future__ import annotations

import pytest

from nearfar.errors import InputError
from nearfar.generation.instructions import CONTRADICTION, ENTAILMENT, parse_score, scored, written
from nearfar.generation.interface import Decoding, first_line


@pytest.mark.parametrize(("answer", "score"), [("4.2", 4.2), ("0", 0.0), ("5", 5.0), ("5.0", 5.0), ("0.5", 0.5)])
def test_a_score(answer: str, score: float) -> None:
    assert parse_score(answer) == score


@pytest.mark.parametrize("answer", ["", "6", "5.1", "5.9", "-1", "4.25", "about 4", "4 of 5", "4.", "nan", "10", "4,2"])
def test_no_score(answer: str) -> None:
    assert parse_score(answer) is None


def test_the_opposite_differs_by_its_instruction_and_answers_alone() -> None:
    prompt = written(ENTAILMENT, CONTRADICTION, "A cat\n sleeps.")
    assert prompt.opposite is not None
    assert prompt.text != prompt.opposite
    assert prompt.text.endswith("Sentence: A cat sleeps.\nAnswer:")
    assert prompt.opposite.endswith("Sentence: A cat sleeps.\nAnswer:")
    given = [
        [line for line in text.splitlines() if line.startswith("Sentence:")] for text in (prompt.text, prompt.opposite)
    ]
    assert given[0] == given[1]
    assert written(CONTRADICTION, ENTAILMENT, "A cat sleeps.").text == prompt.opposite


def test_two_sentences_are_asked_about_in_their_order() -> None:
    prompt = scored("A\nb.", "C d.")
    assert prompt.text.endswith("Sentence 1: A b.\nSentence 2: C d.\nScore:")
    assert prompt.opposite is None
    # Every example has a score that would be read.
    examples = [line.removeprefix("Score: ") for line in prompt.text.splitlines() if line.startswith("Score: ")]
    assert len(examples) >= 4
    assert all(parse_score(each) is not None for each in examples)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"omega": -0.1}, "omega"),
        ({"omega": float("inf")}, "omega"),
        ({"omega": float("nan")}, "omega"),
        ({"plausibility": 1.1}, "plausibility"),
        ({"plausibility": -0.1}, "plausibility"),
    ],
)
def test_settings_out_of_range(settings: dict, field: str) -> None:
    with pytest.raises(InputError) as caught:
        Decoding(**settings)
    assert caught.value.field == field
    Decoding(1, 0.0, 1.0)


@pytest.mark.parametrize(("text", "line"), [("\n  one \ntwo", "one"), ("", ""), (" \r\n", ""), ("a\r\nb", "a")])
def test_an_answer_is_its_first_line(text: str, line: str) -> None:
    assert first_line(text) == line

"""Prompts for questions, and answers without what models put around them."""

from __future__ import annotations

import pytest

from nearfar.generation.question_kinds import KINDS, cleaned, own_kind


@pytest.mark.parametrize("name", KINDS)
def test_a_prompt_is_lines_that_end_where_the_answer_begins(name) -> None:
    prompt = KINDS[name].prompt("A first line.\nAnswer: none.", sample=3)
    assert prompt.sample == 3
    last, before = prompt.text.splitlines()[-1], prompt.text.splitlines()[-2]
    assert (last, before) == ("Answer:", "Passage: A first line. Answer: none.")
    assert len(KINDS[name].examples) == 2
    assert KINDS[name].instruction in prompt.text


def test_an_instruction_of_ones_own_has_no_examples() -> None:
    kind = own_kind(" Write a joke. ", 2)
    assert kind.name == "own 2"
    text = kind.prompt("x").text
    assert text.startswith("Instruction: Write a joke. ")
    assert text.count("Passage:") == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("How do otters sleep?", "How do otters sleep?"),
        ('1. "How do otters sleep?"', "How do otters sleep?"),
        ("Question 2: How do otters sleep?", "How do otters sleep?"),
        ("- Q: **How do otters sleep?**", "How do otters sleep?"),
        ("«Как спят выдры?»", "Как спят выдры?"),
        ("3.5 mm drill", "3.5 mm drill"),
        ("A: B", "B"),
        ("“The cat” and “the dog”", "The cat” and “the dog"),
        ('""', ""),
        ("", ""),
    ],
)
def test_cleaned(answer, expected) -> None:
    assert cleaned(answer) == expected

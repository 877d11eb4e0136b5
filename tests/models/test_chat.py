"""Prompts, instructions and answers as tokens, with and without a chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from nearfar.models.chat import Prompt, has_chat_template

TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[a]{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + TEMPLATE


@pytest.fixture
def tokenizer(tiny_lm_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_lm_folder)


def test_an_instruction_stands_before_the_prompt(tokenizer: Any) -> None:
    assert not has_chat_template(tokenizer)
    assert tokenizer.decode(Prompt("Who?").tokens(tokenizer)) == "Who?"
    assert tokenizer.decode(Prompt("Who?").tokens(tokenizer, "Be true.")) == "Be true.\n\nWho?"
    given = Prompt.of_tokens(tokenizer("Who?")["input_ids"])
    assert given.tokens(tokenizer, "Be true.") == Prompt("Who?").tokens(tokenizer, "Be true.")


def test_the_beginning_of_text_stays_first(tokenizer: Any) -> None:
    tokenizer.bos_token = "<end>"
    start = tokenizer.bos_token_id
    found = Prompt.of_tokens([start, *tokenizer("Who?")["input_ids"]]).tokens(tokenizer, "Be true.")
    assert found == [start, *tokenizer("Be true.\n\nWho?")["input_ids"]]


@pytest.mark.parametrize(
    ("template", "said"),
    [(TEMPLATE, "[system]Be true.[user]Who?[a]"), (NO_SYSTEM, "[user]Be true.\n\nWho?[a]")],
)
def test_in_a_chat_it_is_the_system_message_if_there_is_one(tokenizer: Any, template: str, said: str) -> None:
    tokenizer.chat_template = template
    assert has_chat_template(tokenizer)
    prompt = Prompt("Who?", chat=True)
    assert tokenizer.decode(prompt.tokens(tokenizer)) == "[user]Who?[a]"
    assert tokenizer.decode(prompt.tokens(tokenizer, "Be true.")) == said


@pytest.mark.parametrize(
    ("prompt", "answer", "said"),
    [("A:", "Ann", " Ann"), ("A: ", "Ann", "Ann"), ("A:\n", "Ann", "Ann"), ("A:", " Ann", " Ann")],
)
def test_an_answer_is_apart_from_the_prompt(tokenizer: Any, prompt: str, answer: str, said: str) -> None:
    assert tokenizer.decode(Prompt(prompt).answer(tokenizer, answer)) == said
    assert tokenizer.decode(Prompt(prompt).answer(tokenizer, answer, end=True)) == f"{said}<end>"

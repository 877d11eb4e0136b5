"""Stories of Rasa."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.dialogue import read
from nearfar.errors import InputError

from ..helpers import dialogues, refused

STORIES = """version: "3.1"
stories:
- story: happy path
  steps:
  - intent: greet
  - action: utter_greet
  - or:
    - intent: affirm
    - intent: thank
  - slot_was_set:
    - city: Rome
  - action: action_search
  - action: utter_bye
- story: said
  steps:
  - user: |
      I want [Italian](cuisine) food in [Rome]{"entity": "city"}
    intent: inform
  - bot: "Which price: low or high?"
- story: said
  steps:
  - user: hi
"""
DOMAIN = 'version: "3.1"\nresponses:\n  utter_greet:\n  - text: "Hello, how can I help?"\n  - text: Hey\n'
WANTED = {
    "happy path": [("user", "greet"), ("bot", "Hello, how can I help?"), ("user", "affirm"), ("bot", "utter_bye")],
    "said": [("user", "I want Italian food in Rome"), ("bot", "Which price: low or high?")],
    "said (2)": [("user", "hi")],
}


def test_training_and_test_stories_with_the_texts_of_the_domain(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "data").mkdir()
    (tmp_path / "domain.yml").write_text(DOMAIN)
    (tmp_path / "data" / "nlu.yml").write_text("nlu:\n- intent: greet\n  examples: |\n    - hi\n")
    file = tmp_path / "data" / "stories.yml"
    file.write_text(STORIES)
    assert dialogues(read(file)) == dialogues(read(tmp_path / "data")) == WANTED
    assert f"left out 1 actions that say nothing ({file}: story 1)" in caplog.text
    assert "left out 1 steps that are no turn (slots, forms, checkpoints)" in caplog.text


@pytest.mark.parametrize(
    ("text", "line"), [("stories:\n- story: x\n  steps: [\n", 4), ("stories:\n- story: x\n", None)]
)
def test_broken_stories_are_refused(tmp_path: Path, text: str, line: int | None):
    (tmp_path / "stories.yml").write_text(text)
    assert refused(lambda: read(tmp_path))[:2] == ("stories.yml", line)


def test_a_folder_without_stories_or_other_logs_is_refused_with_the_known_formats(tmp_path: Path):
    (tmp_path / "rules.yml").write_text("rules:\n- rule: x\n  steps:\n  - intent: a\n")
    with pytest.raises(InputError, match=r"contains no dialogue log: .*Rasa stories"):
        read(tmp_path)


def test_scalars_are_texts(tmp_path: Path):
    (tmp_path / "s.yml").write_text(
        "  stories:\n  - story: 2024-02-01\n    steps:\n    - user: yes\n      intent: a\n"
        "    - user: 10:30\n    - bot: no\n"
    )
    assert dialogues(read(tmp_path)) == {"2024-02-01": [("user", "yes"), ("user", "10:30"), ("bot", "no")]}


def test_an_alias_which_may_stand_for_a_file_of_any_length_is_refused(tmp_path: Path):
    (tmp_path / "stories.yml").write_text(
        "stories:\n- story: one\n  steps: &a\n  - user: hello\n- story: two\n  steps: *a\n"
    )
    assert refused(lambda: read(tmp_path))[:2] == ("stories.yml", 6)

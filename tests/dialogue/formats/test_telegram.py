"""Exports of Telegram."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues, refused


def message(name: str | None, identity: str, text: object, minute: int, kind: str = "message") -> dict[str, object]:
    about = {"id": minute, "type": kind, "date": f"2024-05-12T10:{minute:02}:00"}
    return {**about, "from": name, "from_id": identity, "text": text, "text_entities": []}


MESSAGES = [
    {"id": 1, "type": "service", "date": "2024-05-12T10:30:00", "actor": "Anna", "action": "create_group", "text": ""},
    message("Anna", "user1", "hi: all", 31),
    message("Ben", "user2", ["see ", {"type": "link", "text": "https://x.org"}, "!"], 33),
    message(None, "user3", "gone", 32),
    message("Anna", "user1", "", 34),
]


def chat(name: str, messages: object) -> dict[str, object]:
    return {"name": name, "type": "private_group", "id": 7, "messages": messages}


def test_one_chat_and_all_chats(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    turns = [("Anna", "hi: all"), ("user3", "gone"), ("Ben", "see https://x.org!")]
    file = tmp_path / "result.json"
    file.write_text(json.dumps(chat("Trip", MESSAGES), indent=1))
    assert dialogues(read(file)) == {"Trip": turns}
    assert f"({file}: message 1)" in caplog.text
    assert "contradict" in caplog.text
    file.write_text(json.dumps({"about": "x", "chats": {"list": [chat("A", MESSAGES), chat("A", MESSAGES[:2])]}}))
    assert dialogues(read(tmp_path)) == {"A": turns, "A (2)": [("Anna", "hi: all")]}


def test_people_of_one_name_stay_apart(tmp_path: Path):
    (tmp_path / "result.json").write_text(
        json.dumps(chat("A", [message("Sam", "user1", "one", 1), message("Sam", "user2", "two", 2)]))
    )
    assert read(tmp_path).speakers == ["Sam (user1)", "Sam (user2)"]


def test_half_a_surrogate_pair_becomes_a_replacement_character(tmp_path: Path):
    (tmp_path / "result.json").write_text(json.dumps(chat("A", [message("Ann", "user1", "a \ud83d b", 1)])))
    assert dialogues(read(tmp_path)) == {"A": [("Ann", "a \ufffd b")]}


def test_a_broken_export_is_refused(tmp_path: Path):
    (tmp_path / "result.json").write_text(json.dumps(chat("A", [1])))
    assert refused(lambda: read(tmp_path))[0] == "result.json"

"""Exports of Discord."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues, refused


def export(messages: object) -> dict[str, object]:
    channel = {"id": "2", "type": "GuildTextChat", "category": "Text", "name": "help", "topic": None}
    about = {"guild": {"id": "1", "name": "Shop", "iconUrl": ""}, "channel": channel}
    return {**about, "dateRange": {"after": None, "before": None}, "messages": messages, "messageCount": 4}


def message(name: str, text: str, time: str, kind: str = "Default", nickname: str = "") -> dict[str, object]:
    author = {"id": "7", "name": name, "discriminator": "0000", "nickname": nickname, "isBot": False}
    return {"id": "9", "type": kind, "timestamp": time, "isPinned": False, "content": text, "author": author}


MESSAGES = [
    message("anna_1", "", "2024-05-12T10:30:00.000+00:00", "GuildMemberJoin"),
    message("anna_1", "hello?", "2024-05-12T10:31:00.5+00:00", nickname="Anna"),
    message("ben", "later", "2024-05-12T10:33:00+00:00"),
    message("ben", "yes: hi", "2024-05-12T12:32:00.1234567+02:00", "Reply"),
]


def test_an_export_of_a_channel(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "Shop - help [2].json"
    file.write_text(json.dumps(export(MESSAGES), indent=2))
    wanted = {"Shop - help [2]": [("Anna", "hello?"), ("ben", "yes: hi"), ("ben", "later")]}
    assert dialogues(read(file)) == dialogues(read(tmp_path)) == wanted
    assert f"left out 1 messages about the channel, not of a person ({file}: message 1)" in caplog.text
    assert "contradict" in caplog.text


@pytest.mark.parametrize("messages", ["none", [1]])
def test_a_broken_export_is_refused(tmp_path: Path, messages: object):
    (tmp_path / "help.json").write_text(json.dumps(export(messages)))
    assert refused(lambda: read(tmp_path))[0] == "help.json"


def test_csv_exports(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    header = "AuthorID,Author,Date,Content,Attachments,Reactions\n"
    rows = [("1", "anna", "33", "later, yes"), ("2", "ben", "31", "hello?")]
    text = "".join(f'"{i}","{who}","2024-05-12T10:{at}:00.0000000+00:00","{said}","",""\n' for i, who, at, said in rows)
    (tmp_path / "help.csv").write_text(header + text)
    assert dialogues(read(tmp_path)) == {"help": [("ben", "hello?"), ("anna", "later, yes")]}
    assert "contradict" in caplog.text
    text = (header + text).replace(",", ";").replace("2024-05-12T10:33:00.0000000+00:00", "01-Feb-24 09:05 AM")
    (tmp_path / "help.csv").write_text(text.replace("2024-05-12T10:31:00.0000000+00:00", "01-Feb-24 09:04 AM"))
    assert read(tmp_path / "help.csv").speakers == ["ben", "anna"]


def test_people_of_one_nickname_stay_apart(tmp_path: Path):
    messages = [message(name, "x y", "2024-05-12T10:31:00+00:00", nickname="Sam") for name in ("a", "b")]
    (tmp_path / "help.json").write_text(json.dumps({**export(messages), "guild": {"id": "1"}}))
    assert read(tmp_path).speakers == ["Sam (a)", "Sam (b)"]

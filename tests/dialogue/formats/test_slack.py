"""Exports of Slack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues, refused

USERS = [
    {"id": "U1", "name": "anna", "profile": {"real_name": "Anna Schmidt", "display_name": "Anna"}},
    {"id": "U2", "name": "ben", "profile": {"real_name": "Ben Cole", "display_name": ""}},
]


def message(user: str, text: str, ts: str, **more: object) -> dict[str, object]:
    return {"type": "message", "user": user, "text": text, "ts": ts, **more}


DAYS = {
    "2024-05-12.json": [
        message("U1", "<@U1> has joined the channel", "1715500000.000100", subtype="channel_join"),
        message("U1", "hi &lt;all&gt;, see <https://x.org|this> in <#C1|general> <@U2>", "1715500001.000100"),
        message("U2", "who can help?", "1715500002.000100", thread_ts="1715500002.000100", reply_count=1),
        {"type": "message", "subtype": "bot_message", "username": "Deploy", "text": "done", "ts": "1715500003.000100"},
        message("U3", "me", "1715500004.000100", user_profile={"real_name": "Carla Diaz", "display_name": ""}),
    ],
    "2024-05-13.json": [
        message("U1", "I can", "1715590002.000100", thread_ts="1715500002.000100"),
        message("U2", "late", "1715590009.000100"),
        message("U1", "early", "1715590005.000100"),
    ],
}
CHANNEL = {
    "2024-05-12": [("Anna", "hi <all>, see this in #general @Ben Cole"), ("Deploy", "done"), ("Carla Diaz", "me")],
    "thread 1715500002.000100": [("Ben Cole", "who can help?"), ("Anna", "I can")],
    "2024-05-13": [("Anna", "early"), ("Ben Cole", "late")],
}


def export(folder: Path, *channels: str) -> Path:
    (folder / "users.json").write_text(json.dumps(USERS))
    (folder / "channels.json").write_text(json.dumps([{"id": "C1", "name": "general"}]))
    for channel in channels:
        (folder / channel).mkdir()
        for name, messages in DAYS.items():
            (folder / channel / name).write_text(json.dumps(messages, indent=4))
    return folder


def test_a_whole_export(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert dialogues(read(export(tmp_path, "general"))) == CHANNEL
    assert "left out 1 messages about the channel, not of a person" in caplog.text
    assert "2024-05-12.json: message 1)" in caplog.text
    assert "2024-05-13: the times contradict the order" in caplog.text


def test_channels_are_kept_apart_and_one_channel_or_day_is_read_too(tmp_path: Path):
    export(tmp_path, "general", "random")
    assert dialogues(read(tmp_path)) == {
        f"{c}/{name}": turns for c in ("general", "random") for name, turns in CHANNEL.items()
    }
    assert dialogues(read(tmp_path / "general")) == CHANNEL
    assert dialogues(read(tmp_path / "general" / "2024-05-12.json"))["2024-05-12"] == CHANNEL["2024-05-12"]


def test_tables_in_json_are_no_exports(tmp_path: Path):
    rows = [{"dialogue_id": 1, "speaker": "a", "text": "hello"}, {"dialogue_id": 1, "speaker": "b", "text": "hi"}]
    (tmp_path / "2024-05-12.json").write_text(json.dumps(rows))
    assert dialogues(read(tmp_path)) == {"1": [("a", "hello"), ("b", "hi")]}


def test_what_was_left_out_is_noted_where_nothing_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "2024-05-12.json").write_text(json.dumps([message("U1", "joined", "1.5", subtype="channel_join")]))
    assert refused(lambda: read(tmp_path)) == (tmp_path.name, None, None)
    assert "left out 1 messages about the channel" in caplog.text


def test_a_broken_day_is_named(tmp_path: Path):
    export(tmp_path, "general")
    file = tmp_path / "general" / "2024-05-13.json"
    file.write_text(file.read_text() + "]")
    assert refused(lambda: read(tmp_path))[0] == "2024-05-13.json"


def test_times_that_are_none_texts_in_blocks_and_equal_names(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    users = [{"id": f"U{n}", "profile": {"display_name": "Sam"}} for n in (1, 2)]
    (tmp_path / "users.json").write_text(json.dumps(users))
    bot = {"type": "message", "bot_id": "B1", "text": "", "ts": "3.1"}
    messages = [
        message("U1", "no time", "nan"),
        message("U1", "one", "1.1"),
        message("U2", "two", "2.1"),
        {**bot, "attachments": [{"fallback": "alert"}]},
        {**bot, "ts": "4.1", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "in a block"}}]},
    ]
    (tmp_path / "2024-05-12.json").write_text(json.dumps(messages))
    found = dialogues(read(tmp_path / "2024-05-12.json"))
    assert found["2024-05-12"] == [("Sam (U1)", "one"), ("Sam (U2)", "two"), ("B1", "alert"), ("B1", "in a block")]
    assert "left out 1 messages without a time" in caplog.text

"""Transcripts with a name and a time above the text."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues

TURNS = [("Anna Schmidt", "Hello there: all well?"), ("Ben", "Yes. Order number: 555")]


@pytest.mark.parametrize(
    ("a", "b"),
    [("   0:03", "   1:00:08"), ("  00:03", "  00:08"), (" (10:31 AM)", " (10:32 AM)"), (" [00:00:03]", " [00:00:08]")],
)
def test_names_with_times_above_texts(tmp_path: Path, a: str, b: str, caplog: pytest.LogCaptureFixture):
    text = f"Weekly call\n\nAnna Schmidt{a}\nHello there:\nall well?\n\nBen{b}\nYes.\nOrder number: 555\n"
    (tmp_path / "call.txt").write_text(text)
    assert dialogues(read(tmp_path)) == {"call": TURNS}
    assert f"left out 1 lines before the first turn ({tmp_path / 'call.txt'}:1)" in caplog.text


def test_a_line_that_ends_with_a_time_may_be_text(tmp_path: Path):
    text = "Agent: when?\nsee you at 10:30\nUser: ok\nAgent: or\nlater at 11:00\nUser: fine\n"
    (tmp_path / "call.txt").write_text(text)
    assert dialogues(read(tmp_path))["call"][0] == ("Agent", "when? see you at 10:30")
    assert read(tmp_path).speakers == ["Agent", "User"]

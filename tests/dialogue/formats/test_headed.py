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


SAID = [("Anna Schmidt", "hello? yes: here"), ("Ben", "hi"), ("Anna Schmidt", "ok")]
FORMS = [
    ("Anna Schmidt, [01.02.2024 09:05]", "Ben, [01.02.2024 09:06]", "Anna Schmidt, [01.02.2024 09:07]"),
    ("Anna Schmidt, [Feb 1, 2024 at 9:05 AM]:", "Ben, [Feb 1, 2024 at 9:06 AM]:", "Anna Schmidt, [2 Feb 2024 9:00]:"),
    ("[01/02/2024 09:05] Anna Schmidt", "[01/02/2024 09:06] Ben (pinned)", "[01/02/2024 09:07] Anna Schmidt"),
    ("[00:00:03.10] - Anna Schmidt", "[00:00:08.10] - Ben", "[00:00:09.10] - Anna Schmidt"),
    (
        "Anna Schmidt \u2014 01/31/2024 9:05 PM",
        "Ben \u2014 Yesterday at 9:06 AM",
        "Anna Schmidt \u2014 Today at 8:07 AM",
    ),
    ("Anna Schmidt   0 minutes 3 seconds", "Ben   0 minutes 8 seconds", "Anna Schmidt   1 minute 2 seconds"),
]


@pytest.mark.parametrize("form", FORMS)
def test_headers_as_programs_copy_them(tmp_path: Path, form: tuple[str, str, str]):
    (tmp_path / "call.txt").write_text(f"{form[0]}\nhello?\nyes: here\n\n{form[1]}\nhi\n\n{form[2]}\nok\n")
    assert dialogues(read(tmp_path)) == {"call": SAID}


def test_text_exports_of_discord(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    rule = "=" * 62
    first = "[01/02/2024 9:05 AM] anna_1\nhello?\n\n{Attachments}\nhttps://x.org/a.png\n\n"
    body = f"{first}[01/02/2024 9:06 AM] ben\nyes: hi\n"
    (tmp_path / "help.txt").write_text(
        f"{rule}\nGuild: Shop\nChannel: help\n{rule}\n\n{body}\n{rule}\nExported 2 messages\n{rule}\n"
    )
    assert dialogues(read(tmp_path)) == {"help": [("anna_1", "hello?"), ("ben", "yes: hi")]}
    assert "left out 5 lines after a rule" in caplog.text


def test_a_phrase_with_a_time_is_text_of_the_turn(tmp_path: Path):
    text = "Ann   0:03\nWhen?\nSee you at 10:30\nthen\n\nBen   0:08\nFine.\nMeeting 11:00\nAlso\n\nAnn   0:12\nOk.\n"
    (tmp_path / "call.txt").write_text(text)
    assert dialogues(read(tmp_path))["call"] == [
        ("Ann", "When? See you at 10:30 then"),
        ("Ben", "Fine. Meeting 11:00 Also"),
        ("Ann", "Ok."),
    ]


def test_a_date_alone_and_notices_are_no_turns(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    text = "Transcript\nFebruary 1, 2024, 9:00AM\n\nAnn   0:03\nHi.\n\nBen   0:08\nYes.\nAnn   stopped transcription\n"
    (tmp_path / "call.txt").write_text(text)
    assert dialogues(read(tmp_path))["call"] == [("Ann", "Hi."), ("Ben", "Yes.")]
    assert "left out 1 notices of programs" in caplog.text


@pytest.mark.parametrize("dash", ["\u2014 ", " ", ""])
def test_times_below_the_names(tmp_path: Path, dash: str):
    turns = [("anna\nOP", "hi"), ("Ben Cole", "yes: x"), ("anna", "ok")]
    text = "".join(f"{name}\n{dash}01/02/2024 9:0{at} AM\n{said}\n" for at, (name, said) in enumerate(turns))
    (tmp_path / "call.txt").write_text(text)
    assert dialogues(read(tmp_path))["call"] == [("anna", "hi"), ("Ben Cole", "yes: x"), ("anna", "ok")]


def test_marks_of_time_among_lines_with_names_are_no_headers(tmp_path: Path):
    text = "00:00:00\nAnn: Hi.\nBen: Yes.\n00:05:00\nAnn: See (2024-02-01 at 09:05).\nMeeting ended after 00:10:00\n"
    (tmp_path / "call.txt").write_text(text)
    assert dialogues(read(tmp_path))["call"] == [
        ("Ann", "Hi."),
        ("Ben", "Yes."),
        ("Ann", "See (2024-02-01 at 09:05)."),
    ]

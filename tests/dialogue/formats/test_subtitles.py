"""WebVTT of Teams and Zoom, and SRT."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues, refused

TEAMS = """WEBVTT

NOTE duration:"00:00:30"

STYLE
::cue { color: red }

6b8c1b0e-1b2f-4c1a/13-0
00:00:03.120 --> 00:00:06.480
<v Anna Schmidt>Hello, thanks for calling,</v>

6b8c1b0e-1b2f-4c1a/13-1
00:00:06.480 --> 00:00:08.000 align:start position:10%
<v Anna Schmidt>how can I help?</v>

6b8c1b0e-1b2f-4c1a/14-0
00:00:08.500 --> 00:00:10.000
<v.loud Ben &amp; Co>I <b>want</b> to know: where is it?</v>
"""
WANTED = [("Anna Schmidt", "Hello, thanks for calling, how can I help?"), ("Ben & Co", "I want to know: where is it?")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["call.vtt", "call.txt"])
def test_transcripts_of_teams(tmp_path: Path, name: str, end: str):
    (tmp_path / name).write_bytes(("\ufeff" + TEAMS.replace("\n", end)).encode())
    assert dialogues(read(tmp_path)) == {"call": WANTED}
    assert dialogues(read(tmp_path / name)) == {"call": WANTED}


def test_transcripts_of_zoom(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "call.vtt").write_text(
        "WEBVTT\n\n1\n00:00:03.120 --> 00:00:06.480\nAnna Schmidt: Good morning and\n\n"
        "2\n00:00:06.480 --> 00:00:08.000\nwelcome to all.\n\n"
        "3\n00:00:09.000 --> 00:00:10.000\n(music)\n\n"
        "4\n00:00:10.000 --> 00:00:11.000\nBen: Hi. My order is lost.\n\n"
        "5\n00:00:11.000 --> 00:00:12.000\nBen: Can you help?\n\n"
        "6\n00:00:12.000 --> 00:00:13.000\nAnna Schmidt: Sure.\n"
    )
    assert dialogues(read(tmp_path))["call"] == [
        ("Anna Schmidt", "Good morning and welcome to all."),
        ("Ben", "Hi. My order is lost."),
        ("Ben", "Can you help?"),
        ("Anna Schmidt", "Sure."),
    ]
    assert f"left out 1 cues without a speaker ({tmp_path / 'call.vtt'}:12)" in caplog.text


def test_subrip(tmp_path: Path):
    (tmp_path / "call.srt").write_text(
        "1\n00:00:01,000 --> 00:00:04,000\n<i>ANNA: Good morning.</i>\n\n"
        "2\n00:00:05,000 --> 00:00:09,000\n- BEN: Hi.\n- ANNA: Hello.\n\n"
        "3\n00:00:09,000 --> 00:00:12,000\nBEN: The order number\nis: 555\n"
    )
    assert dialogues(read(tmp_path))["call"] == [
        ("ANNA", "Good morning."),
        ("BEN", "Hi."),
        ("ANNA", "Hello."),
        ("BEN", "The order number is: 555"),
    ]


def test_two_voices_in_one_cue(tmp_path: Path):
    (tmp_path / "call.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n<v Anna>Hi.</v> <v 李雷>你好\n")
    assert dialogues(read(tmp_path))["call"] == [("Anna", "Hi."), ("李雷", "你好")]


def test_sounds_and_unnamed_speakers_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    said = [">> ANNA: Hello and", "[music]", "- Hi.", ">> Yes", "ANNA: Bye"]
    (tmp_path / "a.srt").write_text(
        "".join(f"{at}\n00:00:0{at},000 --> 00:00:0{at},900\n{text}\n\n" for at, text in enumerate(said, 1))
    )
    assert dialogues(read(tmp_path))["a"] == [("ANNA", "Hello and"), ("ANNA", "Bye")]
    assert "left out 3 cues without a speaker" in caplog.text
    caplog.clear()
    (tmp_path / "a.srt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n<v Anna>So we\n\n00:02.000 --> 00:03.000\nno\n")
    assert dialogues(read(tmp_path))["a"] == [("Anna", "So we")]
    assert "left out 1 cues without a speaker" in caplog.text


def test_cues_are_sorted_by_their_times(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    cues = [(5, "Anna", "Two."), (1, "Ben", "One."), (9, "Anna", "Three.")]
    text = "".join(f"00:0{at}.000 --> 00:0{at}.500\n<v {who}>{said}\n\n" for at, who, said in cues)
    (tmp_path / "call.vtt").write_text("WEBVTT\n\n" + text)
    assert [said for _, said in dialogues(read(tmp_path))["call"]] == ["One.", "Two.", "Three."]
    assert "contradict" in caplog.text


def test_subtitles_without_any_speaker_are_refused(tmp_path: Path):
    (tmp_path / "film.srt").write_text("1\n00:00:01,000 --> 00:00:04,000\nIt was a dark night.\n")
    assert refused(lambda: read(tmp_path)) == ("film.srt", None, None)


def test_times_and_turns_on_one_line_are_a_plain_transcript(tmp_path: Path):
    (tmp_path / "call.txt").write_text(
        "[00:00:01.000 --> 00:00:04.000] [SPEAKER_00]: Good morning.\n[00:04 --> 00:05] [SPEAKER_01]: Hi.\n"
        "00:00:06 --> 00:00:07 SPEAKER_00: Yes?\n"
    )
    assert dialogues(read(tmp_path))["call"] == [
        ("SPEAKER_00", "Good morning."),
        ("SPEAKER_01", "Hi."),
        ("SPEAKER_00", "Yes?"),
    ]


def test_names_beside_the_number_as_webex_writes_them(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    cues = [('1 "Anna Schmidt" (12)', 1, "Hello: all."), ('2 "Ben" (13)', 3, "Hi."), ('3 "" (14)', 5, "Who?")]
    text = "".join(f"{name}\n00:00:0{at}.000 --> 00:00:0{at}.900\n{said}\n\n" for name, at, said in cues)
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n" + text)
    assert dialogues(read(tmp_path))["a"] == [("Anna Schmidt", "Hello: all."), ("Ben", "Hi.")]
    assert "left out 1 cues" in caplog.text


def test_names_above_the_texts_as_teams_wrote_them(tmp_path: Path):
    cues = [
        ("0:0:3.120", "Anna Schmidt", "Hello."),
        ("0:0:8.0", "Ben", "Hi: you."),
        ("0:0:10.0", "Anna Schmidt", "Ok."),
    ]
    text = "".join(f"{at} --> {at}\n{who}\n{said}\n" for at, who, said in cues)
    (tmp_path / "a.txt").write_text(text)
    assert dialogues(read(tmp_path))["a"] == [(who, said) for _, who, said in cues]


def test_subrip_without_blank_lines_and_with_codes_of_place(tmp_path: Path):
    (tmp_path / "a.srt").write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nAnna: I have\n2\n00:00:03,000 --> 00:00:04,000\n{\\an8}Ben: 55\n"
        "3\n00:00:05,000 --> 00:00:06,000\nAnna: Bye\n"
    )
    assert dialogues(read(tmp_path))["a"] == [("Anna", "I have"), ("Ben", "55"), ("Anna", "Bye")]

"""Lines `Name: text` as people write them; see also the tests of transcripts."""

# ruff: noqa: RUF001 - other scripts have characters that look like Latin ones
from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues, refused


def one(tmp_path: Path, text: str, **options: str) -> list[tuple[str, str]]:
    file = tmp_path / "a.txt"
    file.write_bytes(text.encode())
    return dialogues(read(file, **options))["a"]  # pyright: ignore[reportArgumentType]


TWO = [("Agent", "hi there"), ("User", "hello")]


@pytest.mark.parametrize(
    "text",
    [
        "Agent: hi\nthere\nUser: hello",
        "Agent: hi there\rUser: hello\r",
        "Agent: hi there\r\n\r\nUser: hello\r\n",
        "\ufeffAgent: hi there\n\u200eUser: hello",
        "\u200fAgent\u200f: hi there\n\u202aUser\u202c: hello",
        "Agent：hi there\nUser：hello",
        "Agent:hi there\nUser:hello",
        "**Agent:** hi there\n\n**User:** hello",
        "**Agent**: hi there\n**User**: hello",
        "*Agent:* hi there\n_User_: hello",
        "- **Agent:** hi there\n- **User:** hello",
        "1. Agent: hi there\n2. User: hello",
        "> Agent: hi there\n> User: hello",
        "### Agent:\nhi there\n### User:\nhello",
        "[Agent]: hi there\n<User>: hello",
        "10:01 a. m. - Agent: hi there\n10:02 p. m. - User: hello",
        "10:01 a.m. Agent: hi there\n10:02 p.m. User: hello",
        "[10:01 a. m.] Agent: hi there\n[10:02 p. m.] User: hello",
        "10:01 <Agent> hi there\n10:02 <User> hello",
        "<v Agent>hi there</v>\n<v User>hello",
        "Agent: hi\u2028there\nUser: hello",
        "上午10:01 Agent: hi there\n下午10:02 User: hello",
        "Agent\u2236 hi there\nUser\ufe55 hello",
        "\u2014 Agent : hi there\n\u2013 User : hello",
        "<b>Agent:</b> hi there<br>\n<strong>User:</strong> hello",
        "<@Agent> hi there\n<User|away> hello",
        "10:01:02\tAgent\thi there\n10:01:03\tUser\thello",
        "10:01:02\tAgent:\thi there\n10:01:03\tUser:\thello",
        "1706778000 Agent: hi there\n1706778060 User: hello",
        "2024-02-01 10:01:02,123 INFO Agent: hi there\n2024-02-01 10:01:03 [WARN] User: hello",
        "Agent [00:00:03 - 00:00:05]: hi there\nUser [00:00:06 - 00:00:07]: hello",
        "[Agent] hi there\n[User] hello",
        "[Feb 1, 2024, 10:01 AM] Agent: hi there\n[1 Feb 2024 at 10:02 AM] User: hello",
        "Agent started transcription\nAgent: hi there\nUser: hello\nTranscribed by https://x.org",
    ],
)
def test_ways_to_write_a_turn(tmp_path: Path, text: str):
    assert one(tmp_path, text) == TWO


@pytest.mark.parametrize(
    ("a", "b"), [("用户", "客服"), ("李雷", "韩梅梅"), ("أحمد", "ليلى"), ("Ёлка", "Étienne"), ("Jean-Luc", "O'Neil")]
)
@pytest.mark.parametrize("colon", [": ", "：", " : "])
def test_names_of_every_script(tmp_path: Path, a: str, b: str, colon: str):
    assert one(tmp_path, f"{a}{colon}x y\n{b}{colon}z\n{a}{colon}w") == [(a, "x y"), (b, "z"), (a, "w")]


def test_markdown_is_read_where_it_is_named(tmp_path: Path):
    (tmp_path / "chat.md").write_text("**User:**\n\nhi\n\n**Agent:** hello\n")
    assert dialogues(read(tmp_path / "chat.md"))["chat"] == [("User", "hi"), ("Agent", "hello")]


def test_scripts_without_spaces_need_none_after_the_colon(tmp_path: Path):
    assert one(tmp_path, "客服:您好\n用户:我想退货。\n") == [("客服", "您好"), ("用户", "我想退货。")]


@pytest.mark.parametrize(
    "lines",
    [
        ["Order number: 555", "Shipping address: Main Street"],
        ["Total: 12 EUR"],
        ["Note: it is late", "P.S.: bye"],
        ["Step 1: open it", "Step 2: close it"],
        ["Bestellnummer: 12-555"],
        ["订单号：555"],
        ["Customer number: A5"],
        ["Estimated delivery date: Monday"],
        ["Order number: 1", "Order number: 2"],
    ],
)
@pytest.mark.parametrize("names", [("Agent", "User"), ("Anna", "Ben"), ("客服", "用户")])
def test_facts_before_a_colon_are_text_of_the_turn(
    tmp_path: Path, lines: list[str], names: tuple[str, str], caplog: pytest.LogCaptureFixture
):
    a, b = names
    text = "\n".join([f"{a}: Here is the summary.", *lines, f"{b}: thanks", f"{a}: bye"])
    summary = " ".join(["Here is the summary.", *lines])
    assert one(tmp_path, text) == [(a, summary), (b, "thanks"), (a, "bye")]
    assert "as text of the turn" in caplog.text
    assert "(line 2" in caplog.text


def test_facts_of_many_dialogues_are_text_too(tmp_path: Path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.txt").write_text(f"Anna: hi\nFavourite: {name} x\nBen: ok\nAnna: bye\nBen: bye\n")
    assert read(tmp_path).speakers == ["Anna", "Ben"]


def test_given_speakers_are_speakers(tmp_path: Path):
    text = "Agent: hi\nOrder number: I speak\nUser: ok\nAgent: bye"
    assert [who for who, _ in one(tmp_path, text, speakers="agent,user,order number")] == [
        "agent",
        "order number",
        "user",
        "agent",
    ]


def test_a_phrase_that_alternates_is_a_speaker(tmp_path: Path):
    assert one(tmp_path, "Call centre: hi\nCaller: hello\n") == [("Call centre", "hi"), ("Caller", "hello")]
    assert [who for who, _ in one(tmp_path, "First voice: a\nSecond voice: b\nFirst voice: c\nSecond voice: d")] == [
        "First voice",
        "Second voice",
    ] * 2


def test_a_speaker_heard_once_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert len(one(tmp_path, "Anna: hi\nBen: hello\nAnna: ok\nBen: fine\nCarla: bye\n")) == 5
    assert "this speaker has no more than one turn in a dialogue: 'Carla'" in caplog.text


def test_lines_with_a_time_and_without_a_speaker_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    text = "[00:01] Agent: hi\n[00:02] music\nand noise\n[00:03] User: hello\nthere\n[00:04] call ended\n"
    assert one(tmp_path, text) == [("Agent", "hi"), ("User", "hello there")]
    assert f"left out 2 lines with a time and without a speaker ({tmp_path / 'a.txt'}:2, {tmp_path / 'a.txt'}:6)" in (
        caplog.text
    )
    assert "left out 1 lines after one without a speaker" in caplog.text


@pytest.mark.parametrize(
    "line", ["[Ben has joined the chat]", "(laughs)", "*** call ended ***", "--- part 2 ---", "=== Part 2 ==="]
)
def test_lines_in_brackets_or_between_marks_are_left_out(tmp_path: Path, line: str, caplog: pytest.LogCaptureFixture):
    assert one(tmp_path, f"{line}\nAgent: hi\n{line}\nthere\nUser: hello [sic]\n") == [
        ("Agent", "hi there"),
        ("User", "hello [sic]"),
    ]
    assert "left out 2 lines in brackets or between marks" in caplog.text


def test_where_turns_have_times_a_line_without_one_is_no_turn(tmp_path: Path):
    text = "10:01 Anna: the list\nMilk: 2\nBread: 1\n10:02 Ben: thanks\n10:03 Anna: sure\n"
    assert one(tmp_path, text) == [("Anna", "the list Milk: 2 Bread: 1"), ("Ben", "thanks"), ("Anna", "sure")]


def test_a_known_speaker_without_a_time_speaks_among_turns_with_times(tmp_path: Path):
    text = "[00:01] Agent: hi\nUser: hello\n[00:05] Agent: bye\nAgent: indeed\n[00:09] Agent: so\n"
    assert [said for _, said in one(tmp_path, text)] == ["hi", "hello", "bye", "indeed", "so"]


def test_turns_are_sorted_by_their_times(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    assert one(tmp_path, "[00:05] A: two\n[00:01] B: one\n[00:09] A: three\n") == [
        ("B", "one"),
        ("A", "two"),
        ("A", "three"),
    ]
    assert "contradict the order" in caplog.text


@pytest.mark.parametrize(
    "times",
    [
        ["23:58", "23:59", "00:01", "00:02"],
        ["00:01", "00:09", "00:01", "00:08"],
        ["11:59 PM", "12:01 AM"],
        ["59:58", "1:00:02"],
    ],
)
def test_midnight_and_second_parts_are_in_order(tmp_path: Path, times: list[str]):
    text = "".join(f"{time} {'AB'[number % 2]}: {number}x\n" for number, time in enumerate(times))
    assert [said for _, said in one(tmp_path, text)] == [f"{number}x" for number in range(len(times))]


def test_a_nul_byte_is_refused_with_its_line(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"A: hi\n" * 2000 + b"B: x\0y\n")
    assert refused(lambda: read(tmp_path)) == ("a.txt", 2001, None)


def test_what_is_no_log_is_refused_with_the_known_formats(tmp_path: Path):
    (tmp_path / "a.docx").write_bytes(b"PK")
    (tmp_path / "b.txt").write_text("just a letter\nwithout turns\n")
    for name in ("a.docx", "b.txt"):
        with pytest.raises(ValueError, match="WhatsApp") as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_very_long_line_is_refused_with_its_number(tmp_path: Path):
    (tmp_path / "a.txt").write_text("A: hi\nB: " + "x" * (1 << 20) + "\n")
    assert refused(lambda: read(tmp_path)) == ("a.txt", 2, None)


@pytest.mark.parametrize("line", ["at 10:30: sure", "more: x", "배송지: 서울", "Адрес: дом 5"])
def test_phrases_and_facts_among_names_with_capitals_are_text(
    tmp_path: Path, line: str, caplog: pytest.LogCaptureFixture
):
    found = one(tmp_path, f"Anna: hi\n{line}\nBen: ok\nAnna: x\nBen: y\n")
    assert found[:2] == [("Anna", f"hi {line}"), ("Ben", "ok")]
    assert "as text of the turn" in caplog.text


def test_names_that_say_no_word_are_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    one(tmp_path, "Anna: the list\nMilk: 2\nMilk: 3\nBen: ok\nAnna: yes\nBen: x\n")
    assert "no turn of 'Milk' contains a word" in caplog.text


def test_what_contains_a_time_is_no_name(tmp_path: Path):
    assert refused(lambda: one(tmp_path, "xx 10:31 zz - Anna: hi\nxx 10:32 zz - Ben: ok\n")) == ("a.txt", 1, None)


def test_phone_numbers_are_names(tmp_path: Path):
    assert [who for who, _ in one(tmp_path, "+49 170 1234567: hi\nAnna: ok\n+49 170 1234567: x\n")] == [
        "+49 170 1234567",
        "Anna",
        "+49 170 1234567",
    ]


def test_names_that_differ_in_case_or_marks_are_one_speaker(tmp_path: Path):
    assert {who for who, _ in one(tmp_path, "Anna: a\nANNA: b\nan\u200bna: c\nBen: d\n")} == {"Anna", "Ben"}


def test_labels_alone_are_no_speakers(tmp_path: Path):
    text = "From: Anna\nSent: 2024-02-01 09:05\nhi\nFrom: Ben\nSent: 2024-02-01 09:06\nyes\n"
    assert refused(lambda: one(tmp_path, text))[0] == "a.txt"


def test_several_turns_on_one_line_are_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    one(tmp_path, "Anna: hi Ben: hello Anna: how are you? Ben: fine\n")
    assert "inside a turn (line 1)" in caplog.text


def test_brackets_before_words_are_no_part_of_a_name(tmp_path: Path):
    assert refused(lambda: one(tmp_path, "00:01 (Anna) hi\n00:02 (Ben) well: x\n")) == ("a.txt", 1, None)


def test_a_page_is_no_transcript(tmp_path: Path):
    assert refused(lambda: one(tmp_path, "<html><body><p>Anna: hi</p></body></html>\n")) == ("a.txt", 1, None)

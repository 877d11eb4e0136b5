"""Chats that Zoom saves."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.dialogue import read

from ..helpers import dialogues

WANTED = [("Anna Schmidt", "hi all: welcome"), ("Ben", "where is the file?"), ("Anna Schmidt", "here it is")]
FORMS = {
    "before 5.9": (
        "10:01:02\t From  Anna Schmidt : hi all: welcome\n10:02:00\t From  Ben  to  Anna Schmidt(Privately) : where is "
        "the file?\n10:03:00\t From  Anna Schmidt : here\nit is\n"
    ),
    "everyone": (
        "10:01:02 From Anna Schmidt to Everyone : hi all: welcome\n10:02:00 From Ben to Anna Schmidt (Direct Message) "
        ": where is the file?\n10:03:00 From Anna Schmidt to Everyone : here it is\n"
    ),
    "later": (
        "10:01:02 From Anna Schmidt to Everyone:\n\thi all: welcome\n10:02:00 From Ben to Anna Schmidt(Direct Message):"
        "\n\twhere is the file?\n10:03:00 From Anna Schmidt to Everyone:"
        '\n\tReplying to "where is the fi..."\n\t\n\there it is'
    ),
    "German": (
        "10:01:02 Von Anna Schmidt an Alle:\n\thi all: welcome\n10:02:00 Von Ben an Alle:\n\twhere is the file?\n"
        "10:03:00 Von Anna Schmidt an Alle:\n\there it is\n"
    ),
    "recording": (
        "00:00:12\tAnna Schmidt:\thi all: welcome\n00:00:15\tBen:\twhere is the file?\n"
        "00:01:00\tAnna Schmidt:\there it is\n"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_chat(form: str, tmp_path: Path):
    (tmp_path / "meeting_saved_chat.txt").write_text(FORMS[form])
    assert dialogues(read(tmp_path))["meeting_saved_chat"] == WANTED


def test_reactions_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    file = tmp_path / "chat.txt"
    file.write_text(
        '10:01:02 From Anna to Everyone:\n\thi\n10:01:05 From Ben to Everyone:\n\tReacted to "hi" with 👍\n'
        "10:01:07 From Ben to Everyone:\n\thello\n"
    )
    assert dialogues(read(file))["chat"] == [("Anna", "hi"), ("Ben", "hello")]
    assert f"left out 1 reactions ({file}:3)" in caplog.text

"""Texts of files and servers do not steer the terminal."""

from __future__ import annotations

import pytest

from nearfar.cli.output import error_line, print_table, printable, say

STEERING = "a\x1b[2J\x9b31m\u202eb\u2066\x00"
ESCAPED = r"a\x1b[2J\x9b31m\u202eb\u2066\x00"


def test_control_characters_are_escapes_and_words_are_not(capsys: pytest.CaptureFixture[str]):
    assert printable(STEERING) == ESCAPED
    words = "na\u00efve \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469 two\nlines\t!"
    assert printable(words) == words
    error_line(STEERING)
    say(STEERING)
    print_table(["x"], [[STEERING]])
    out, err = capsys.readouterr()
    assert err.count(ESCAPED) == 2
    assert ESCAPED in out
    assert "\x1b" not in out + err

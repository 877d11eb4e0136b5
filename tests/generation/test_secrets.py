"""A key is in no text that is shown, and a server's characters steer no terminal."""

from __future__ import annotations

import base64

import pytest

from nearfar.errors import InputError
from nearfar.generation._secrets import check_key, one_line, without_key

KEY = "sk-SECRET0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    "told",
    [
        KEY,
        KEY.upper(),
        KEY[::-1],
        KEY[5:20],
        " ".join(KEY),
        KEY.replace("-", ""),
        base64.b64encode(KEY.encode()).decode(),
        KEY.encode().hex(),
        "".join(f"%{ord(each):02X}" for each in KEY),
        "".join(f"\\u{ord(each):04x}" for each in KEY),
        "".join(f"&#{ord(each)};" for each in KEY),
        "".join(f"%25{ord(each):02X}" for each in KEY),  # encoded twice
    ],
)
def test_a_key_in_any_form_is_hidden(told: str) -> None:
    shown = without_key(KEY, f"your key {told} is wrong")
    assert told not in shown
    assert "SECRET" not in shown.upper()
    assert "***" in shown or shown.startswith("(not shown")


@pytest.mark.parametrize("told", ["Invalid key, see https://x.org/docs?id=13572468 (é, 字).", "", "secret", "sk-"])
def test_all_else_is_shown_as_it_is(told: str) -> None:
    assert without_key(KEY, told) == told
    assert without_key("", told) == told


def test_a_short_key_is_looked_for_as_a_whole() -> None:
    assert without_key("EMPTY", "the list is empty; EMPTY") == "the list is ***; ***"


@pytest.mark.parametrize("key", ["a b", "a\n", "\x1b", "schlüssel", "a\u200b"])
def test_a_key_that_no_header_can_contain(key: str) -> None:
    with pytest.raises(InputError, match=r"\bMY_KEY\b") as caught:
        check_key(key, "MY_KEY")
    assert key not in str(caught.value)


def test_usable_keys() -> None:
    for key in ("", KEY, "!~"):
        check_key(key, "MY_KEY")


def test_one_line_without_what_steers_a_terminal() -> None:
    assert one_line(" a\n b\tc \x1b[31m\u202e ") == "a b c \\x1b[31m\\u202e"
    assert one_line("é 字") == "é 字"
    assert one_line("x" * 300) == "x" * 200
    assert one_line("x" * 300, 5) == "xxxxx"

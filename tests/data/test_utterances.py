"""What a decoder writes about an audio file, and what is read from it."""

from __future__ import annotations

import pytest

from nearfar.data.utterances import Utterance


def test_what_is_written_is_read() -> None:
    found = Utterance.of("order\tdrink", ["size = large ", "", "milk=no\nmilk"], " a  large\nlatte ")
    assert found == ("order drink", ("size = large", "milk=no milk"), "a large latte")
    assert Utterance.parsed(found.target()) == found
    assert Utterance.parsed(Utterance.of(3, None, "three").target()) == ("3", (), "three")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ("", (), "")), ("order", ("order", (), "")), ("order\na=b\tc=d", ("order", ("a=b", "c=d"), ""))],
)
def test_incomplete_texts_are_read_as_far_as_they_go(text: str, expected: tuple) -> None:
    assert Utterance.parsed(text) == expected

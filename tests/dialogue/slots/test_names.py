"""Names in texts."""

from __future__ import annotations

import pytest

from nearfar.dialogue.slots.names import NameFinder


def names(texts: list[str], text: str, speakers: tuple[str, ...] = ()) -> list[str]:
    return [text[start:end] for start, end, _ in NameFinder([*texts, text], speakers).spans(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hello Anna, how are you?", ["Anna"]),
        ("Hi, Ben!", ["Ben"]),
        ("Good morning Anna Schmidt.", ["Anna Schmidt"]),
        ("my name is john smith", ["john smith"]),
        ("my name is john please help", ["john"]),
        ("My name is Zoë", ["Zoë"]),
        ("Workshop, Greta speaking.", ["Greta"]),
        ("You are talking to Ben, how can I help?", ["Ben"]),
        ("Mr. Miller is late", ["Miller"]),
        ("Thank you, Carla.", ["Carla"]),
        # No names
        ("Hi, Could you help me?", []),
        ("My name is on the card", []),
        ("Hello there", []),
        ("my company name is acme", []),
        ("I went to Paris", []),
        ("hello anna", []),
    ],
)
def test_names_by_what_is_around_them(text, wanted):
    assert names([], text) == wanted


def test_a_word_that_the_log_has_in_lower_case_is_no_name():
    assert names([], "This is Great") == ["Great"]
    assert names(["that is great"], "This is Great") == []


def test_a_name_is_known_inside_other_sentences_of_the_log():
    assert names(["Hello Anna!"], "Could Anna call me?") == ["Anna"]
    assert names(["Hello Will!", "when will it be?"], "Could Will call me?") == []
    assert names(["Hello Will!"], "Yes. Will you come?") == []


def test_names_of_speakers_are_names_and_roles_are_not():
    assert names([], "I asked Anna about it", ("Anna Schmidt", "Agent")) == ["Anna"]
    assert names([], "I asked Agent about it", ("Anna Schmidt", "Agent")) == []

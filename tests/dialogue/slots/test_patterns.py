"""What counts as a slot."""

from __future__ import annotations

import pytest

from nearfar.dialogue.slots.patterns import spans


def found(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for start, end, kind in spans(text)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("number", "five five"),
        ("number", "oh two nine"),
        ("number", "double five three"),
        ("number", "twenty-four"),
        ("number", "408-247-8880"),
        ("number", "+41 44 123 45 67"),
        ("number", "20%"),
        ("number", "two percent"),
        ("number", "٣٤"),
        ("time", "11:30 am"),
        ("time", "14h30"),
        ("time", "five thirty pm"),
        ("time", "5 o'clock"),
        ("time", "half past 11 in the morning"),
        ("time", "9 Uhr"),
        ("date", "2019-03-04"),
        ("date", "12.05.24"),
        ("date", "March 3rd, 2019"),
        ("date", "the third of march"),
        ("date", "next Friday"),
        ("date", "the day after tomorrow"),
        ("amount", "$45.50"),
        ("amount", "€ 3"),
        ("amount", "one hundred and five dollars"),
        ("amount", "30 €"),
        ("email", "anna.b@mail.example.org"),
        ("email", "j a m e s at gmail dot com"),
        ("link", "https://example.com/a?b=1"),
        ("code", "AB12CD"),
        ("code", "ord-12345"),
        ("code", "g 75 f 34"),
        ("code", "b c d"),
    ],
)
def test_recognised(kind, text):
    assert found(text) == [(kind, text)]
    assert found(f"Well, {text}") == [(kind, text)]
    assert found(f"{text}, please") == [(kind, text)]
    assert found(text.upper())[0][0] == kind


@pytest.mark.parametrize(
    "text",
    [
        "Oh, I see that one",
        "which one?",
        "oh I see",
        "the first floor, 1st class",
        "May I come in March?",
        "meet me at home",
        "I had a look",
        "i am a bc",
        "covid19",
        "I'm here, it's d'accord",
        "good morning",
        "this is the last one",
        "sun and wind",
        "4ever",
    ],
)
def test_not_recognised(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("i need a 2 bedroom", [("number", "2")]),
        ("it is oh two people", [("number", "two")]),
        ("5 a day", [("number", "5")]),
        ("2 tickets, 10 am", [("number", "2"), ("time", "10 am")]),
        ("for 2, 10 am", [("number", "2"), ("time", "10 am")]),
        ("5kg or 2x", [("number", "5"), ("number", "2")]),
        ("on the 8th", [("date", "the 8th")]),
        ("call 555 (home).", [("number", "555")]),
        ("İ 5", [("number", "5")]),
    ],
)
def test_a_slot_ends_where_other_words_begin(text, wanted):
    assert found(text) == wanted

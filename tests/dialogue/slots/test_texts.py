"""Slots of texts."""

from __future__ import annotations

import pytest

from nearfar.dialogue.slots.texts import KINDS, TYPICAL, Slots, typical, without_slots


def forms(*texts: str, speakers: tuple[str, ...] = ()) -> list[str]:
    return Slots.of(texts, speakers).forms


def test_pieces_of_a_number_are_one_text_for_the_encoder():
    slots = Slots.of(["five five", "oh two nine", "Four, four, one.", "one", "408-247-8880", "(408) 247", "7"])
    texts, which = slots.to_encode()
    assert texts == [TYPICAL["number"]]
    assert which.tolist() == [0] * 7
    assert {slots.only(text) for text in range(7)} == {"number"}


def test_texts_that_differ_in_slots_are_encoded_once():
    slots = Slots.of(["Hello Anna!", "Hello Ben!", "Goodbye", "at 5 pm", "at 11:30"])
    assert slots.forms == ["Hello <name>!", "Hello <name>!", "Goodbye", "at <time>", "at <time>"]
    texts, which = slots.to_encode()
    assert which.tolist() == [0, 0, 1, 2, 2]
    assert texts == [typical("Hello <name>!"), "Goodbye", typical("at <time>")] == ["Hello 5!", "Goodbye", "at 5"]
    assert all("<" not in text for text in texts)


def test_neighbours_of_one_kind_become_one_slot():
    assert forms("on Thursday, March 3rd") == ["on <date>"]
    assert forms("2 and 3") == ["<number>"]
    assert forms("May 4th at 10 am") == ["<date> at <time>"]


def test_turns_with_a_slot_are_counted():
    slots = Slots.of(["from 2 to 3 pm", "7", "no"])
    assert slots.counts([(0, 4), (1, 5), (2, 6)]) == {"number": 9, "time": 4}
    assert slots.only(0) is None
    assert slots.only(2) is None


def test_texts_without_slots_stay_as_they_are():
    texts = ["", "?!", "I see, that one  is fine.", "你好", "<b>bold</b>"]
    slots = Slots.of(texts)
    assert slots.forms == texts
    assert slots.to_encode()[0] == texts


@pytest.mark.parametrize("kind", KINDS)
def test_placeholders_are_removed(kind):
    assert without_slots(f"a <{kind}> b").split() == ["a", "b"]

"""Labels of actions in words."""

from __future__ import annotations

import pytest

from nearfar.dialogue.words.phrases import has_object, joined, phrase, slot_phrase
from nearfar.models.action_labels import ActionLabel, Side


@pytest.mark.parametrize(
    ("side", "acts", "slots", "wanted"),
    [
        ("agent", "request", "date", "ask for the date"),
        ("user", "inform", "number of seat", "give the number of seats"),
        ("agent", "inform", "address,phone number", "tell the address and phone number"),
        ("user", "offer", "movie name", "choose the movie name"),
        ("agent", "offer,inform", "city", "offer the city"),
        ("user", "agreement,request", "price", "agree and ask for the price"),
        ("user", "disagreement,thank you", "", "decline and thank"),
        ("user", "good bye,thank you", "", "thank and say goodbye"),
        ("agent", "confirm", "a,b,c", "confirm the a, b and c"),
        ("user", "request", "is unisex", "ask whether it is unisex"),
        ("user", "check balance", "account number", "check balance and give the account number"),
        ("user", "inform", "phonenumber", "give the phone number"),
        ("user", "check balance", "", "check balance"),
        ("user", "inform", "", "give information"),
    ],
)
def test_phrase(side: Side, acts: str, slots: str, wanted: str):
    label = ActionLabel(side, tuple(acts.split(",")), tuple(filter(None, slots.split(","))))
    assert phrase(label) == wanted
    assert has_object(label) == bool(slots)


def test_without_slots_only_the_acts_are_named():
    assert phrase(ActionLabel("agent", ("request",), ("date",)), slots=False) == "ask a question"


def test_kinds_of_slots_are_the_object_where_the_slots_are_not_sure():
    assert phrase(ActionLabel("user", ("agreement", "inform"), ("city",)), False, ["date"]) == "agree and give a date"
    assert phrase(ActionLabel("user", ("inform",), ("city",)), True, ["date"]) == "give the city"
    assert phrase(ActionLabel("user", ("request",), ("city",)), False, ["date"]) == "ask a question"


def test_a_slot_alone():
    assert slot_phrase("number", "user") == "give a number"
    assert slot_phrase("email", "agent") == "tell an e-mail address"


def test_joined():
    assert [joined(words.split()) for words in ("a", "a b", "a b c")] == ["a", "a and b", "a, b and c"]

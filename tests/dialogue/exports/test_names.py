"""Unique names."""

from __future__ import annotations

import pytest

from flows import hostile_flow
from nearfar.dialogue.exports.names import activities, clean, slugs, unique


def test_names_are_unique_also_if_a_name_has_a_number():
    assert unique(["a", "a (2)", "a", "b", "a"]) == ["a", "a (2)", "a (3)", "b", "a (4)"]
    assert unique(["a", "a", "a (2)"]) == ["a", "a (3)", "a (2)"]


def test_slugs_are_identifiers():
    names = ["Which city?", "which, CITY", "Crème brûlée", "你好", "", "don't", "x" * 99]
    assert slugs(names, "intent") == [
        "which_city",
        "which_city_2",
        "creme_brulee",
        "intent",
        "intent_2",
        "dont",
        "x" * 48,
    ]


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\ud800", "\ufffe", "\uffff"])
def test_characters_that_xml_excludes_are_replaced(character: str):
    assert clean(f"a{character}\r\n b") == "a\ufffd b"


def test_activities_of_hostile_speakers_are_on_one_line_and_unique():
    names = activities(hostile_flow())
    assert len(set(names)) == len(names) == 3
    assert all(name == clean(name) for name in names)

"""Annotated and other texts as two streams of equal length."""

from __future__ import annotations

from collections import Counter

import pytest

from nearfar.errors import InputError
from nearfar.mining.streams import UNLABELLED, semi_supervised

TEXTS = {"one": ["a", "b", "c"], "two": ["d", "e", "f", "g"]}


def test_texts_without_annotation_are_a_dataset_of_their_own() -> None:
    found = semi_supervised(TEXTS, {"one": ["x", "", "x"], "two": ["", "y", "", ""]})
    assert list(found) == ["one", "two", UNLABELLED]
    assert sorted(zip(found[UNLABELLED]["anchor"], found[UNLABELLED]["label"], strict=True)) == [
        ("b", 1),
        ("d", 3),
        ("f", 5),
        ("g", 6),
    ]
    for rows in found.values():
        assert list(rows["anchor"]) == list(rows["positive"])
    # Three annotated texts and four others: the three are repeated by a third.
    assert sum(len(found[name]) for name in TEXTS) in (3, 4)
    assert {*found["one"]["label"]} == {0, 2}
    assert {*found["two"]["label"]} == {4}


def test_the_shorter_stream_is_repeated() -> None:
    found = semi_supervised({"one": list("abcdefgh")}, {"one": ["x", "x"] + [""] * 6})
    assert Counter(found["one"]["anchor"]) == {"a": 3, "b": 3}
    assert len(found[UNLABELLED]) == 6
    found = semi_supervised({"one": list("abcdefgh")}, {"one": ["x"] * 5 + [""] * 3})
    assert len(found[UNLABELLED]) == len(found["one"]) == 5
    assert set(Counter(found[UNLABELLED]["anchor"]).values()) == {1, 2}


def test_few_texts_without_annotation_stay_where_they_are() -> None:
    found = semi_supervised(TEXTS, {"one": ["x", "", "x"], "two": ["y"] * 4}, least=2)
    assert {name: list(rows["label"]) for name, rows in found.items()} == {"one": [0, 1, 2], "two": [3, 4, 5, 6]}


def test_a_dataset_without_any_annotation() -> None:
    found = semi_supervised(TEXTS, {"one": [""] * 3, "two": ["y"] * 4})
    assert list(found) == ["two", UNLABELLED]
    with pytest.raises(InputError) as caught:
        semi_supervised(TEXTS, {"one": [""] * 3, "two": [""] * 4})
    assert caught.value.field == "acts"


def test_a_dataset_with_the_name_of_the_others() -> None:
    with pytest.raises(InputError) as caught:
        semi_supervised({UNLABELLED: ["a", "b"]}, {UNLABELLED: ["x", ""]})
    assert caught.value.field == "--data"

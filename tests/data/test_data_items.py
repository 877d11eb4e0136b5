"""What a row says, in a form in which two rows can be told to be the same."""

from __future__ import annotations

from typing import Any

from datasets import Dataset, Image

from nearfar.data.items import item_columns, normal, texts_of


def rows(**columns: list[Any]) -> Dataset:
    return Dataset.from_dict(columns)


def test_case_and_spacing_decide_nothing():
    assert normal("  The\tCat \n sat ") == normal("the cat sat") == "the cat sat"
    assert normal("STRASSE") == normal("straße")
    assert normal("the cat sat") != normal("the cats at")


def test_negatives_are_left_out_unless_asked_for():
    triplets = rows(negative_2=["N"], anchor=["A"], positive=["P"], negative_10=["T"], other=["x"])
    assert texts_of(triplets, negatives=False) == [("a", "p")]
    assert texts_of(triplets, negatives=True) == [("a", "p", "n", "t")]


def test_scores_and_labels_are_no_texts():
    assert texts_of(rows(sentence1=["A"], sentence2=["B"], score=[1.0]), negatives=True) == [("a", "b")]
    assert texts_of(rows(text=["A"], label=["L"]), negatives=True) == [("a",)]


def test_a_file_is_the_item_and_keeps_its_name():
    images = rows(image=["A.png", "a.png"], text=["a cat", "a cat"])
    assert texts_of(images, negatives=False) == [("A.png",), ("a.png",)]
    inside = rows(image=[None], text=["a cat"]).cast_column("image", Image())
    assert item_columns(inside, negatives=True) == []
    assert texts_of(inside, negatives=False) == [()]

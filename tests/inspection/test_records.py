"""Rows and items that an inspection names."""

from __future__ import annotations

from nearfar.inspection.records import SHOWN, FalseNegative, Hub, Item, NearDuplicate, Repeat, shown, with_places


def item(name: str, label: str | None = None) -> Item:
    return Item("text", name, f"text {name}", label)


def place_of(kind: str, origin: int | str) -> dict[str, object]:
    return {"kind": kind, "id": f"at {origin}"}


def test_every_item_of_a_record_gets_its_place_and_the_figures_stay() -> None:
    record = with_places(FalseNegative(item("a"), item("b", "x"), 0.25, item("c"), 0.75, 3), place_of)
    assert record.as_dict() == {
        "row": {"kind": "text", "id": "at a", "text": "text a"},
        "positive": {"kind": "text", "id": "at b", "text": "text b", "label": "x"},
        "positive_cosine": 0.25,
        "negative": {"kind": "text", "id": "at c", "text": "text c"},
        "negative_cosine": 0.75,
        "negatives_above": 3,
        "likely": False,
        "support": [],
    }
    near = with_places(NearDuplicate(item("a"), item("b"), 0.9), place_of).as_dict()
    assert (near["first"]["id"], near["second"]["id"], near["cosine"]) == ("at a", "at b", 0.9)
    assert with_places(Hub(item("a"), 7), place_of).as_dict() == {
        "kind": "text", "id": "at a", "text": "text a", "occurrence": 7
    }  # fmt: skip


def test_an_item_is_named_by_its_place_or_its_side() -> None:
    assert item("a").name == "text a"
    assert item("a")._replace(place={"file": "x/rows.jsonl", "line": 3}).name == "rows.jsonl:3"


def test_a_repeat_says_which_row_it_repeats() -> None:
    found = Repeat({"line": 7}, {"line": 2}, True).as_dict()
    assert found == {"row": {"line": 7}, "earlier": {"line": 2}, "contradicts": True}


def test_texts_are_shown_on_one_line() -> None:
    assert shown(" a\n b\tc ") == "a b c"
    assert shown("x" * SHOWN) == "x" * SHOWN
    long = shown("x" * (SHOWN + 1))
    assert len(long) == SHOWN
    assert long.startswith("x" * (SHOWN - 1))

"""Annotation trees: from every form of annotation, their views, and how much two of them overlap."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from nearfar.data import load
from nearfar.data.trees import VIEWS, Tree, annotated_texts, element_numbers, overlaps, renamed, similarity, tree_of
from nearfar.errors import InputError
from trees import A, B, C, D, nested

ONE = dict.fromkeys(VIEWS, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "views", "combined"),
    [
        (A, B, [1, 1 / 2, 1 / 3, 1 / 2, 1 / 2, 1 / 3, 1 / 2, 1 / 3, 1 / 2, 1 / 2], 0.5),
        (A, C, [0, 1, 0.5, 0.5, 0, 0.5, 0.5, 0, 0.5, 0], 0.35),
        (B, C, None, 0.45),
        (A, D, [1, 1, 1, 1 / 3, 1, 1, 1 / 3, 1, 1 / 3, 1 / 3], 0.733333),
    ],
)
def test_worked_numbers(a: Tree, b: Tree, views: list[float] | None, combined: float) -> None:
    assert similarity(a, b) == pytest.approx(combined, abs=1e-6)
    if views is not None:
        assert list(overlaps(a, b).values()) == pytest.approx(views)


def test_views_are_in_the_order_of_the_authors() -> None:
    assert list(VIEWS) == ["D", "I", "S", "V", "DI", "IS", "SV", "DIS", "ISV", "DISV"]


def test_intents_alone_are_compared_in_their_own_view() -> None:
    refund, cancel = tree_of(acts=["refund"]), tree_of(acts=["cancel"])
    assert overlaps(refund, refund) == {**dict.fromkeys(VIEWS, 0.0), "I": 1.0}
    assert similarity(refund, refund) == 1
    assert similarity(refund, cancel) == 0
    assert not any(overlaps(refund, cancel).values())


def test_similarity_is_symmetric_in_unit_interval_and_that_of_equal_trees_is_one() -> None:
    rng = random.Random(0)
    names = {level: [f"{level}{n}" for n in range(3)] for level in "disv"}

    def drawn() -> Tree:
        return frozenset(
            tuple(rng.choice([*names[level], None]) for level in "disv"[: rng.randint(1, 4)])
            for _ in range(rng.randint(1, 4))
        )

    for _ in range(200):
        a, b = drawn(), drawn()
        assert similarity(a, b) == similarity(b, a)
        assert 0 <= similarity(a, b) <= 1
        if any(level is not None for path in a for level in path):
            assert similarity(a, a) == 1


def test_an_empty_tree_is_like_nothing() -> None:
    empty: Tree = frozenset()
    assert similarity(empty, A) == similarity(empty, empty) == 0
    assert not any(overlaps(empty, A).values())


def test_case_spaces_and_order_make_no_difference() -> None:
    frames = [["INFORM", "Area", " North "], ["request", "price", ""]]
    assert tree_of([" Hotel"], frames=frames) == tree_of(
        ["hotel"], frames=[[x.lower() for x in f] for f in frames[::-1]]
    )
    assert tree_of(["hotel"], frames=frames) == B


def test_acts_without_frames_have_all_slots_which_may_have_values() -> None:
    assert tree_of(["hotel"], ["inform"], ["area=north", "stars=4"]) == A
    assert tree_of([], ["inform", "request"], ["area"]) == {(None, "inform", "area"), (None, "request", "area")}
    assert tree_of(["hotel", "taxi"], ["bye"]) == {("hotel", "bye"), ("taxi", "bye")}
    assert tree_of(slots=["area"]) == {(None, None, "area")}
    assert tree_of() == frozenset()


def test_names_are_changed_or_removed() -> None:
    names = {("act", "inform"): "tell", ("slot", "stars"): "", ("domain", "hotel"): None}
    changed = renamed(A, lambda level, name: names.get((level, name), name))
    assert changed == {(None, "tell", "area", "north"), (None, "tell", None, "4")}
    assert renamed(A, lambda level, name: None if level in ("slot", "value") else name) == {("hotel", "inform")}
    assert renamed(B, lambda level, name: name if level == "slot" or name in ("hotel", "inform") else None) == {
        ("hotel", "inform", "area"),
        ("hotel", None, "price"),
    }


TURN = {"speaker": "u", "text": "north, 4 stars", "acts": ["inform"], "slots": ["area=north", "stars=4"]}
FRAMES = {"speaker": "u", "text": "how much?", "frames": [["inform", "area", "north"], ["request", "price"]]}
QUIET = {"speaker": "u", "text": "well"}


@pytest.mark.parametrize(
    ("rows", "texts", "trees"),
    [
        (
            [{"dialogue_id": "1", "turns": [TURN, FRAMES, QUIET], "domain": ["Hotel"]}],
            ["north, 4 stars", "how much?", "well"],
            [A, B, frozenset()],
        ),
        ([{"dialogue_id": "1", "domain": "hotel", **TURN}], ["north, 4 stars"], [A]),
        ([{"dialogue_id": "1", "domain": "hotel", **FRAMES}], ["how much?"], [B]),
        ([{"text": "my card", "label": "Lost card"}], ["my card"], [{(None, "lost card")}]),
        ([{"text": "my card", "label": 3, "domain": "bank"}], ["my card"], [{("bank", "3")}]),
        ([{"text": "my card"}], ["my card"], [frozenset()]),
    ],
)
def test_every_form_of_annotation(rows: list[dict[str, Any]], texts: list[str], trees: list[Tree]) -> None:
    schema = {"turns": "domain dialogues", "speaker": "domain turns"}
    named = next((name for column, name in schema.items() if column in rows[0]), None)
    assert annotated_texts(load(Dataset.from_list(rows), schema=named)) == (texts, trees)


def test_dialogues_without_domains() -> None:
    rows = load(Dataset.from_list([{"dialogue_id": "1", "turns": [TURN]}]))
    assert annotated_texts(rows)[1] == [{(None, *path[1:]) for path in A}]


@pytest.mark.parametrize(
    ("frames", "field"),
    [
        ("inform", "frames"),
        (["inform"], "frames[0]"),
        ([["inform", "area"], []], "frames[1]"),
        ([["inform", "area", "north", "x"]], "frames[0]"),
        ([["", "area"]], "frames[0][0]"),
        ([["inform", 1]], "frames[0][1]"),
    ],
)
def test_a_mistake_in_frames_is_named_with_its_place(frames: Any, field: str, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    turn = {"speaker": "u", "text": "hi", "frames": frames}
    file.write_text(json.dumps({"dialogue_id": "1", "domain": "x", "turns": [turn]}) + "\n")
    with pytest.raises(InputError) as caught:
        load(file, schema="domain dialogues")
    assert (caught.value.line, caught.value.field) == (1, f"turns[0].{field}")
    file.write_text(json.dumps({"dialogue_id": "1", "domain": "x", **turn}) + "\n")
    with pytest.raises(InputError) as caught:
        load(file, schema="domain turns")
    assert (caught.value.line, caught.value.field) == (1, field)


def test_numbers_of_elements_are_those_of_equal_elements() -> None:
    numbers = element_numbers([A, frozenset(), B, A])
    assert numbers.shape == (4, 10, 2)
    assert numbers[0].equal(numbers[3])
    assert not (numbers[1] >= 0).any()
    sets = [[set(view[view >= 0].tolist()) for view in tree] for tree in numbers]
    found = [len(x & y) / len(x | y) for x, y in zip(sets[0], sets[2], strict=True)]
    assert found == pytest.approx(list(overlaps(A, B).values()))
    assert element_numbers([]).shape == (0, 10, 1)


def test_nested_form_of_the_tests() -> None:
    assert nested({"hotel": {"inform": {"area": ["north"], "stars": ["4"]}}}) == A

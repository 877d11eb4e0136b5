"""Common names for the annotations of several datasets: proposed, written, edited, and read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfar.data.label_map import LabelMap, similarity
from nearfar.data.trees import tree_of
from nearfar.errors import InputError

FIRST = [tree_of(["hotels"], ["thank_you"], ["check_in_date=today", "seat"]), tree_of(["hotels"], ["goodbye"])]
SECOND = [tree_of(["Hotel"], ["ThankYou"], ["checkindate=today", "seats", "check_out_date"])]
TREES = {"one": FIRST, "two": SECOND}
HEAD = "dataset,level,name,common\n"


@pytest.mark.parametrize(
    ("a", "b", "level", "alike"),
    [
        ("thank_you", "thankyou", "act", 1.0),
        ("affirm", "agreement", "act", 1.0),
        ("affirm", "agreement", "slot", None),
        ("Seats", "seat", "slot", 1.0),
        ("arrival_city", "arrive city", "slot", 0.857),
        ("other", "not_sure", "act", None),
    ],
)
def test_similarity_of_names(a: str, b: str, level: str, alike: float | None) -> None:
    assert similarity(a, b, level) == similarity(b, a, level)
    if alike is None:
        assert similarity(a, b, level) < 0.8
    else:
        assert similarity(a, b, level) == pytest.approx(alike, abs=1e-3)


def test_names_of_a_later_dataset_are_joined_with_similar_ones() -> None:
    names = LabelMap.proposed(TREES)
    assert {key[1:]: common for key, common in names.names.items() if key[0] == "two"} == {
        ("domain", "hotel"): "hotels",
        ("act", "thankyou"): "thank_you",
        ("slot", "checkindate"): "check_in_date",
        ("slot", "check_out_date"): "check_out_date",
        ("slot", "seats"): "seat",
    }
    assert all(key[2] == common for key, common in names.names.items() if key[0] == "one")
    assert names.joined == 4
    (changed,) = names.applied("two", SECOND)
    assert changed == tree_of(["hotels"], ["thank_you"], ["check_in_date=today", "seat", "check_out_date"])


def test_two_names_of_one_dataset_are_never_joined() -> None:
    names = LabelMap.proposed({"one": [tree_of(slots=["seat"])], "two": [tree_of(slots=["seats", "Seat_"])]})
    assert sorted(common for key, common in names.names.items() if key[0] == "two") in (
        ["seat", "seat_"],
        ["seat", "seats"],
    )
    assert LabelMap.proposed({"one": [tree_of(slots=["seat", "seats"])]}).joined == 0


def test_what_is_written_is_read_again_after_an_edit(tmp_path: Path) -> None:
    file, names = tmp_path / "map.csv", LabelMap.proposed(TREES)
    names.write(file)
    assert LabelMap.read(file, TREES) == names
    text = (
        file.read_text()
        .replace("two,slot,seats,seat", "two,slot,seats,")
        .replace(",thank_you,thank_you", ",thank_you,Thanks")
    )
    file.write_text(text)
    edited = LabelMap.read(file, TREES)
    (changed,) = edited.applied("two", SECOND)
    assert changed == tree_of(["hotels"], ["thank_you"], ["check_in_date=today", "check_out_date"])
    assert tree_of(["hotels"], ["thanks"], ["check_in_date=today", "seat"]) in edited.applied("one", FIRST)


def test_names_that_are_not_listed_stay(tmp_path: Path) -> None:
    file = tmp_path / "map.csv"
    file.write_text(HEAD + "two,act,THANKYOU,thank_you\n")
    (changed,) = LabelMap.read(file, TREES).applied("two", SECOND)
    assert changed == tree_of(["hotel"], ["thank_you"], ["checkindate=today", "seats", "check_out_date"])


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("dataset,name,common\n", 1, None),
        ("", 1, None),
        (HEAD + "three,act,goodbye,bye\n", 2, "dataset"),
        (HEAD + "one,acts,goodbye,bye\n", 2, "level"),
        (HEAD + "one,value,today,now\n", 2, "level"),
        (HEAD + "one,act,goodbye,bye\none,act,good_bye,bye\n", 3, "name"),
        (HEAD + "one,act,goodbye,bye\none,act,goodbye,end\n", 3, "name"),
        (HEAD + "one,act\n", 2, "name"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, line: int, field: str | None, tmp_path: Path) -> None:
    file = tmp_path / "map.csv"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        LabelMap.read(file, TREES)
    assert (caught.value.line, caught.value.field) == (line, field)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        LabelMap.read(tmp_path / "none.csv", TREES)

"""Which speakers are included, and under which roles."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.dialogue import read
from nearfar.errors import InputError

from .helpers import dialogues


def five() -> Dataset:
    names = ["Anna", "Caller", "Ben", "caller", "IVR"]
    return Dataset.from_list([{"dialogue_id": 1, "speaker": name, "text": f"{name} speaks"} for name in names])


def test_speakers_are_chosen_and_joined():
    assert [who for who, _ in dialogues(read(five(), speakers="Caller"))["1"]] == ["Caller", "Caller"]
    joined = dialogues(read(five(), speakers="agent=Anna|ben, caller"))["1"]
    assert [who for who, _ in joined] == ["agent", "caller", "agent", "caller"]
    rest = dialogues(read(five(), speakers="caller,agent=*"))["1"]
    assert [who for who, _ in rest] == ["agent", "caller", "agent", "caller", "agent"]


@pytest.mark.parametrize(
    ("speakers", "named"),
    [
        ("nobody", "'nobody'"),
        ("a=,b", "'a='"),
        ("a,a", "'a'"),
        ("x=Anna,y=anna", "'anna'"),
        ("a=*,b=*", "'*'"),
        ("a,b,c,d,e,f,g", "7"),
    ],
)
def test_an_invalid_choice_is_refused_by_name(speakers: str, named: str):
    with pytest.raises(InputError) as caught:
        read(five(), speakers=speakers)
    assert caught.value.field == "--speakers"
    assert named in caught.value.problem


def test_too_many_speakers_are_refused_with_an_option_that_merges_them():
    rows = [{"dialogue_id": 1, "speaker": f"agent {i}", "text": "hello"} for i in range(7)]
    with pytest.raises(InputError) as caught:
        read(Dataset.from_list(rows))
    option = (caught.value.remedy or "").rpartition("--speakers ")[2]
    assert read(Dataset.from_list(rows), speakers=option).speakers == ["agent 0", "others"]

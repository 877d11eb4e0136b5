"""Labelled rows in two parts that share no text."""

from __future__ import annotations

import warnings
from collections import Counter

import pytest

from nearfar.errors import InputError
from nearfar.evaluation.split import split_by_text


def test_split_keeps_copies_together_and_labels_on_both_sides():
    texts = [f"text {i % 40}" + " " * (i % 3) for i in range(120)]
    labels = [["a", "b", "b", "b"][i % 4] for i in range(120)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn, test = split_by_text(texts, labels, seed=1)
    assert sorted(learn + test) == list(range(120))
    assert not {texts[i].strip() for i in learn} & {texts[i].strip() for i in test}
    assert Counter(labels[i] for i in test)["a"] in (6, 9)  # 2 or 3 of 10 texts, three copies each
    assert len(test) == 30
    assert split_by_text(texts, labels, seed=1) == (learn, test)
    assert split_by_text(texts, labels, seed=2) != (learn, test)


def test_smallest_split():
    learn, test = split_by_text(["p", "q", "r", "s"], ["a", "a", "b", "b"])
    assert len(learn) == len(test) == 2
    assert {i // 2 for i in learn} == {0, 1} == {i // 2 for i in test}


def test_a_text_with_several_labels_is_of_its_first():
    texts, labels = ["p", "q", "r", "s", "p ", "p"], ["a", "a", "b", "b", "b", "b"]
    for seed in range(4):
        learn, test = split_by_text(texts, labels, seed=seed)
        # Each side has one text of "a" and one of "b", and all copies of "p" are on one side.
        for side in (learn, test):
            assert {texts[i].strip() for i in side} & {"p", "q"}
            assert {texts[i].strip() for i in side} & {"r", "s"}
        assert {0, 4, 5} <= set(learn) or {0, 4, 5} <= set(test)


@pytest.mark.parametrize("seed", range(5))
def test_rare_labels_can_always_be_learnt(seed: int):
    labels = ["common"] * 60 + ["rare"] * 2 + ["scarce"] * 3
    learn, _ = split_by_text([f"text {i}" for i in range(65)], labels, seed=seed)
    assert {labels[i] for i in learn} == {"common", "rare", "scarce"}


@pytest.mark.parametrize(
    ("texts", "labels", "named"),
    [
        (["a", "b", "c", "c "], ["x", "x", "y", "y"], "^label: .*'y'.*got 1"),
        (["a", "b"], ["x", "x"], "^label: .*got 1"),
        (["a", "b"], ["x", None], r"^label: row 2\b"),
        (["a", None], ["x", "y"], r"^text: row 2\b"),
    ],
)
def test_what_cannot_be_split(texts: list, labels: list, named: str):
    with pytest.raises(InputError, match=named):
        split_by_text(texts, labels)

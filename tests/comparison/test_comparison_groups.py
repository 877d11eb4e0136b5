"""Splits in which no text stands on both sides."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.comparison.groups import groups_of, split_by_groups
from nearfar.comparison.leaks import find_leaks
from nearfar.errors import InputError


def test_chains_join():
    # 0-1 by "b", 1-2 by "c"; 3 alone; 4 is empty.
    assert groups_of([("a", "b"), ("b", "c"), ("c", "d"), ("x", "y"), ()]).tolist() == [0, 0, 0, 1, 2]


def questions(count: int, of: int) -> Dataset:
    """`of` rows a question, whose answers are shared by two questions each."""
    rows = [(f"question {i // of}", f"answer {i // of // 2} {i % of}") for i in range(count)]
    return Dataset.from_dict({"anchor": [a for a, _ in rows], "positive": [p for _, p in rows]})


@pytest.mark.parametrize("seed", [0, 1])
def test_no_text_on_both_sides(seed: int):
    rows = questions(240, 3)
    split = split_by_groups(rows, share=0.25, seed=seed)
    assert sorted(split.training + split.held_out) == list(range(240))
    assert (split.groups, split.largest, split.by_negatives) == (40, 6, True)
    assert 0.2 <= len(split.held_out) / 240 <= 0.25
    training, held_out = rows.select(split.training), rows.select(split.held_out)
    for column in rows.column_names:
        assert not set(training[column]) & set(held_out[column])
    leaks = find_leaks(training, held_out)
    assert (leaks.same, leaks.seen, leaks.shared) == ([], [], [])
    assert "240 rows, 40 groups" in str(split)


def test_the_seed_decides():
    rows = questions(240, 3)
    drawn = [split_by_groups(rows, seed=seed).held_out for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_negatives_from_one_pool():
    rows = questions(240, 3).add_column("negative", [f"negative {i % 2}" for i in range(240)])  # pyright: ignore[reportCallIssue]
    split = split_by_groups(rows)
    assert not split.by_negatives
    assert "hard negatives are ignored" in str(split)


def test_labels_are_on_both_sides():
    texts = [f"text {i} of {i % 7}" for i in range(210)]
    rows = Dataset.from_dict({"text": [*texts, *texts[:30]], "label": [i % 7 for i in range(210)] + [0] * 30})
    split = split_by_groups(rows, share=0.2)
    training, held_out = rows.select(split.training), rows.select(split.held_out)
    assert set(held_out["label"]) <= set(training["label"])
    assert len(set(held_out["label"])) == 7
    assert not set(training["text"]) & set(held_out["text"])


def test_a_label_with_one_text_is_trained_on():
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(101)], "label": ["a", "b"] * 50 + ["rare"]})
    for seed in range(5):
        assert 100 not in split_by_groups(rows, seed=seed).held_out


def test_what_cannot_be_split():
    together = Dataset.from_dict({"anchor": ["same"] * 100, "positive": [str(i) for i in range(100)]})
    with pytest.raises(InputError, match="100 of them are connected"):
        split_by_groups(together)
    with pytest.raises(InputError, match="too few to hold"):
        split_by_groups(questions(12, 1))
    with pytest.raises(InputError, match="must be between 0 and 1"):
        split_by_groups(questions(60, 1), share=1.0)

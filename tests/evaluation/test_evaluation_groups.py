"""Splits in which no text stands on both sides."""

from __future__ import annotations

import pytest
from datasets import Dataset

from nearfar.comparison.leaks import find_leaks
from nearfar.errors import InputError
from nearfar.evaluation.groups import grouped_by_negatives, groups_of, split_by_groups


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
    assert not grouped_by_negatives(rows)
    few = rows.select(range(12))
    assert not grouped_by_negatives(few)
    apart = questions(240, 3).add_column("negative", [f"negative {i}" for i in range(240)])  # pyright: ignore[reportCallIssue]
    assert split_by_groups(apart).by_negatives
    assert grouped_by_negatives(apart)


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
    with pytest.raises(InputError, match=r"^--data: 100 rows .* 100 of "):
        split_by_groups(together)
    with pytest.raises(InputError, match=r"^--data: 12 rows"):
        split_by_groups(questions(12, 1))
    with pytest.raises(InputError, match=r"^--held-out: .* 1\.0"):
        split_by_groups(questions(60, 1), share=1.0)


@pytest.mark.parametrize(
    ("rows", "share", "held_out"), [(30, 0.2, 10), (100, 0.05, 10), (100, 0.2, 20), (200, 0.25, 50)]
)
def test_ten_rows_at_least_are_held_out(rows: int, share: float, held_out: int):
    """Fewer say nothing; every row is a group of its own here."""
    split = split_by_groups(questions(rows, 1).remove_columns("positive").rename_column("anchor", "text"), share=share)
    assert len(split.held_out) == held_out


def test_a_group_that_is_too_large_is_trained_on():
    texts = ["same"] * 40 + [f"text {i}" for i in range(60)]
    rows = Dataset.from_dict({"anchor": texts, "positive": [f"answer {i}" for i in range(100)]})
    for seed in range(4):
        split = split_by_groups(rows, share=0.2, seed=seed)
        assert not set(split.held_out) & set(range(40))
        assert (len(split.held_out), split.largest, split.groups) == (20, 40, 61)


def test_less_than_half_of_what_is_to_be_held_out_is_too_little():
    # Nine rows stand alone, and the others hang together: of twenty to hold out nine are too few, of fifteen enough.
    texts = ["same"] * 91 + [f"text {i}" for i in range(9)]
    rows = Dataset.from_dict({"anchor": texts, "positive": [f"answer {i}" for i in range(100)]})
    with pytest.raises(InputError) as caught:
        split_by_groups(rows, share=0.2)
    assert "91" in str(caught.value)
    assert len(split_by_groups(rows, share=0.15).held_out) == 9


def test_negatives_are_left_aside_only_where_they_join_nearly_all():
    apart = questions(240, 3).add_column("negative", [f"negative {i}" for i in range(240)])  # pyright: ignore[reportCallIssue]
    split = split_by_groups(apart)
    assert split.by_negatives
    assert split.counts() == {"groups": 40, "largest": 6, "by_negatives": True}
    pool = questions(240, 3).add_column("negative", [f"negative {i % 2}" for i in range(240)])  # pyright: ignore[reportCallIssue]
    assert split_by_groups(pool).counts() == {"groups": 40, "largest": 6, "by_negatives": False}
    assert str(split_by_groups(pool)) != str(split)


def test_labels_are_drawn_by_the_seed():
    rows = Dataset.from_dict({"text": [f"text {i}" for i in range(100)], "label": ["a", "b"] * 50})
    first, again, other = (split_by_groups(rows, seed=seed).held_out for seed in (0, 0, 1))
    assert first == again != other
    # Each label has its share; before scikit-learn 1.8, roughly.
    assert len(first) == 20
    assert abs(sum(row % 2 for row in first) - 10) <= 3


def test_a_label_that_would_be_lost_keeps_the_rows_of_its_group():
    # The only two rows of a label share a text with rows of another: the group is on one side as a whole.
    texts = [f"t{i}" for i in range(98)] + ["t0", "t1"]
    rows = Dataset.from_dict({"text": texts, "label": ["a", "b"] * 49 + ["rare", "rare"]})
    for seed in range(12):
        split = split_by_groups(rows, seed=seed)
        held = rows.select(split.held_out)
        training = rows.select(split.training)
        assert set(held["label"]) <= set(training["label"])
        assert not set(held["text"]) & set(training["text"])


def test_labels_that_would_be_lost_are_trained_on_and_their_groups_stay_whole():
    # Twenty labels with one row each, of which every fold has some; each shares its text with a row of "a" or "b".
    texts = [f"t{i}" for i in range(100)] + [f"t{i}" for i in range(20)]
    rows = Dataset.from_dict({"text": texts, "label": ["a", "b"] * 50 + [f"rare {i}" for i in range(20)]})
    for seed in range(3):
        split = split_by_groups(rows, seed=seed)
        held, training = rows.select(split.held_out), rows.select(split.training)
        assert set(held["label"]) == {"a", "b"}
        assert not set(held["text"]) & set(training["text"])
        assert len(held) >= 12


def test_why_labelled_rows_cannot_be_split():
    together = Dataset.from_dict({"text": ["same"] * 51 + [f"t{i}" for i in range(9)], "label": ["a", "b"] * 30})
    apart = Dataset.from_dict({"text": [f"t{i}" for i in range(60)], "label": [f"label {i}" for i in range(60)]})
    reasons = []
    for rows in (together, apart):
        with pytest.raises(InputError) as caught:
            split_by_groups(rows)
        assert caught.value.field == "--data"
        reasons.append(str(caught.value))
    assert "51" in reasons[0]
    assert reasons[0].replace("51", "1") != reasons[1]

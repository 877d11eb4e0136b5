"""Pairs of rows that share a label."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.mining import label_pairs, pair_sets, utterance_pairs

LABELS = [0] * 7 + [1] * 3 + [2] + [9] * 2


@pytest.mark.parametrize("extend", [False, True])
def test_pairs_are_two_different_rows_of_one_label(extend: bool) -> None:
    pairs = label_pairs(LABELS, seed=1, extend=extend)
    assert all(LABELS[a] == LABELS[b] and a != b for a, b in pairs.tolist())
    counts = Counter(LABELS[a] for a, _ in pairs.tolist())
    assert counts == ({0: 7, 1: 7, 9: 7} if extend else {0: 6, 1: 2, 9: 1})


def test_every_row_of_a_label_is_in_a_chain() -> None:
    pairs = label_pairs(LABELS).tolist()
    mine = [pair for pair in pairs if LABELS[pair[0]] == 0]
    assert {row for pair in mine for row in pair} == set(range(7))
    assert max(Counter(a for a, _ in mine).values()) == max(Counter(b for _, b in mine).values()) == 1


def test_extended_labels_go_through_all_rows_in_ever_new_orders() -> None:
    pairs = label_pairs([0] * 40 + [1] * 5, extend=True).tolist()
    mine = Counter(tuple(pair) for pair in pairs if pair[0] >= 40)
    assert mine.total() == 40
    assert len(mine) > 12
    assert Counter(a for a, _ in pairs if a >= 40).keys() == set(range(40, 45))


def test_seed_decides_and_labels_are_mixed() -> None:
    labels = torch.arange(5).repeat_interleave(20)
    assert torch.equal(label_pairs(labels, 3), label_pairs(labels, 3))
    assert not torch.equal(label_pairs(labels, 3), label_pairs(labels, 4))
    in_order = labels[label_pairs(labels, 3)[:, 0]]
    assert (in_order[1:] == in_order[:-1]).float().mean() < 0.5


def test_nothing_to_pair() -> None:
    assert label_pairs([]).shape == label_pairs([1, 2, 3]).shape == (0, 2)


def test_sets_give_as_many_pairs_as_the_smallest() -> None:
    acts, slots = [f"act {row}" for row in range(12)], list("abcdef")
    sets = {"act": (acts, [0] * 9 + [1] * 3), "slot": (slots, [0, 0, 0, 1, 1, 1])}
    found = pair_sets(sets, extended=("act",), seed=0)
    assert [len(rows) for rows in found.values()] == [4, 4]
    for name, (texts, labels) in sets.items():
        for row in found[name]:
            assert labels[texts.index(row["anchor"])] == labels[texts.index(row["positive"])] == row["label"]
    assert len(pair_sets(sets, extended=("act", "slot"))["act"]) == 6


TURNS = Dataset.from_list(
    [
        {"dialogue_id": "d", "speaker": "user", "text": f"{text} {number}", "acts": [act], "slots": [slot]}
        for number in range(3)
        for text, act, slot in (("take me to", "INFORM", "city"), ("where do you go", "REQUEST", "city"))
    ]
)


def test_utterances_are_paired_by_their_action() -> None:
    pairs, names = utterance_pairs(TURNS)
    assert names == {"action": ["inform city", "request city"]}
    assert len(pairs["action"]) == 4
    for row in pairs["action"]:
        begins = ("take me to", "where do you go")[row["label"]]
        assert row["anchor"].startswith(begins)
        assert row["positive"].startswith(begins)
        assert row["anchor"] != row["positive"]


def test_acts_and_slots_are_two_sets_of_the_same_size() -> None:
    rows = TURNS.map(lambda row, number: {"slots": ["city" if number % 3 else "date"]}, with_indices=True)
    pairs, names = utterance_pairs(rows, ("act", "slot"), seed=1)
    assert names == {"act": ["inform", "request"], "slot": ["city", "date"]}
    assert [len(rows) for rows in pairs.values()] == [4, 4]
    extended, _ = utterance_pairs(rows, ("act", "slot"), extended=("act", "slot"), seed=1)
    assert [len(rows) for rows in extended.values()] == [6, 6], "as many as the largest label of acts, for two labels"


def test_utterances_without_such_labels_are_refused() -> None:
    with pytest.raises(InputError, match="min_count"):
        utterance_pairs(TURNS, more_than=3)

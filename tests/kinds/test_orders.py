"""In what order an epoch draws its rows."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from rows_for_batches import flat, labelled, pairs, shared
from sentence_transformers.base.sampler import GroupByLabelBatchSampler

from nearfar.kinds._orders import ByLabel, Distinct, order_of
from nearfar.kinds.plan import Rehearsal


@pytest.mark.parametrize("texts", [(2, 3), (10, 40), (1000, 2), (1000, 1000)])
def test_no_row_twice_in_an_epoch_and_no_text_twice_in_a_batch(texts: tuple[int, int]) -> None:
    rows = pairs(100, *texts)
    order = Distinct(rows, 8, True, 3)
    for epoch in range(4):
        batches = order.batches(epoch)
        assert len(set(flat(batches))) == len(flat(batches))
        for batch in batches:
            assert len(batch) > 1
            own = [{rows[i]["anchor"], rows[i]["positive"]} for i in batch]
            assert len(set().union(*own)) == sum(map(len, own))
    assert order.batches(0) != order.batches(1)


@pytest.mark.parametrize("counts", [(150, 8), (100, 6, 2), (50, 40, 30), (60, 9, 8, 8), (20, 2, 2, 2, 2), (200, 2)])
def test_all_rows_that_have_another_label_to_be_with_are_drawn(counts: tuple[int, ...]) -> None:
    rows = labelled(*counts)
    order, labels = ByLabel(rows, 8, True, 3), rows["label"]
    for epoch in range(3):
        batches = order.batches(epoch)
        assert len(set(flat(batches))) == len(flat(batches))
        for batch in batches:
            found = Counter(labels[row] for row in batch)
            assert len(batch) == 8
            assert len(found) > 1
            assert min(found.values()) > 1
        # Two rows of the others are enough for six of the most frequent label.
        usable = min(counts[0], 3 * sum(counts[1:])) + sum(counts[1:])
        assert len(flat(batches)) == usable // 8 * 8
    assert order.batches(0) != order.batches(1)


def test_labels_of_about_equal_numbers_are_drawn_as_sentence_transformers_does() -> None:
    rows = labelled(30, 29, 31, 28)
    theirs = GroupByLabelBatchSampler(rows, 8, True, ["label"], generator=torch.Generator(), seed=5)
    for epoch in range(2):
        theirs.set_epoch(epoch)
        assert ByLabel(rows, 8, True, 5).batches(epoch) == list(theirs)


@pytest.mark.parametrize(("rows", "sizes"), [(16, [8, 8]), (17, [8, 8]), (18, [8, 8, 2]), (1, [])])
def test_a_batch_has_at_least_two_rows(rows: int, sizes: list[int]) -> None:
    for name in ("shuffled", "no_duplicates"):
        order = order_of(name, shared(rows, 1), 8, False, 0)
        assert [len(batch) for batch in order.batches(0)] == sizes
        assert len(set(flat(order.batches(0)))) == sum(sizes)
        left = order_of(name, shared(rows, 1), 8, True, 0)
        assert [len(batch) for batch in left.batches(0)] == [8] * (rows // 8)
        assert sum(each.rows for each in left.left_out()) == rows % 8


def test_seed_and_epoch_decide() -> None:
    first, again, other = (order_of("shuffled", shared(40), 8, True, seed) for seed in (0, 0, 1))
    assert first.batches(2) == again.batches(2) != other.batches(2)
    assert first.batches(2) != first.batches(3)


@pytest.mark.parametrize(("share", "places"), [(0.25, 2), (0.01, 1), (0.99, 7)])
def test_rehearsed_rows_have_a_fixed_share_of_every_batch_and_take_turns(share: float, places: int) -> None:
    rows, old = pairs(53, 100, 100), 3
    order = order_of("shuffled", rows, 8, True, 5, Rehearsal(old, share))
    for epoch in range(2):
        batches = order.batches(epoch)
        assert all(len(batch) == 8 for batch in batches)
        assert len(batches) == 50 // (8 - places)
        assert all(sum(row >= 50 for row in batch) == places for batch in batches)
        new = [row for row in flat(batches) if row < 50]
        assert len(set(new)) == len(new)
        drawn = Counter(row for row in flat(batches) if row >= 50)
        assert max(drawn.values()) - min(drawn.values()) <= 1
    assert order.batches(0) != order.batches(1)
    assert sum(each.rows for each in order.left_out()) == 50 % (8 - places)


def test_few_new_rows_are_one_batch() -> None:
    order = order_of("shuffled", pairs(7, 100, 100), 8, False, 5, Rehearsal(4, 0.5))
    (batch,) = order.batches(0)
    assert sum(row < 3 for row in batch) == 3


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("kind", ["shuffled", "no_duplicates", "group_by_label"])
def test_processes_divide_the_batches_of_one(kind: str, processes: int) -> None:
    rows = labelled(60, 20, 30) if kind == "group_by_label" else pairs(90, 30, 30)
    least = processes if kind == "no_duplicates" else 2 * processes
    for drop_last in (True, False):
        whole = order_of(kind, rows, 4 * processes, drop_last, 3)  # pyright: ignore[reportArgumentType]
        each = order_of(kind, rows, 4, drop_last, 3, processes=processes)  # pyright: ignore[reportArgumentType]
        for epoch in range(2):
            expected = [batch for batch in whole.batches(epoch) if len(batch) >= least]
            found = each.batches(epoch)
            assert [flat(found[at : at + processes]) for at in range(0, len(found), processes)] == expected
            sizes = [[len(batch) for batch in found[at : at + processes]] for at in range(0, len(found), processes)]
            assert all(max(of) - min(of) <= 1 for of in sizes)
        drawn = len(flat(each.batches(0)))
        assert drawn + sum(entry.rows for entry in each.left_out()) == len(rows)


def test_each_process_has_its_share_of_the_rehearsed_rows() -> None:
    rows = pairs(47, 100, 100)
    order = order_of("shuffled", rows, 8, True, 5, Rehearsal(7, 0.25), processes=2)
    for batch in order.batches(0):
        assert sum(row >= 40 for row in batch) == 2

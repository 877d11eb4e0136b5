"""How rows become batches: steps in an epoch, which rows are too few, and the order of what is shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from torch.utils.data import BatchSampler, ConcatDataset

from nearfar.errors import InputError
from nearfar.kinds import _sampling
from nearfar.kinds._sampling import (
    Part,
    SingleSourceBatchSampler,
    batches_of,
    check_part,
    check_parts,
    drop_last,
    parts_of,
    per_epoch,
)
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Stage


def rows(count: int) -> Dataset:
    return Dataset.from_dict({"anchor": [f"a{i}" for i in range(count)], "positive": [f"p{i}" for i in range(count)]})


def labelled(*labels: str) -> Dataset:
    return Dataset.from_dict({"text": [f"t{i}" for i in range(len(labels))], "label": list(labels)})


def part(count: int, size: int, batches: Any = "shuffled", name: str | None = None) -> Part:
    return Part(name, rows(count), batches, size)


def test_parts_have_their_own_batches_and_sizes() -> None:
    options = TrainingOptions(batch_size=8)
    loss = torch.nn.Identity()
    (one,) = parts_of(Stage(rows(20), loss, "shuffled"), options)
    assert (one.name, len(one.rows), one.batches, one.size) == (None, 20, "shuffled", 8)
    both = DatasetDict(a=rows(20), b=rows(30))
    a, b = parts_of(Stage(both, loss, {"a": "shuffled", "b": "no_duplicates"}, batch_sizes={"b": 4}), options)
    assert (a.name, len(a.rows), a.batches, a.size) == ("a", 20, "shuffled", 8)
    assert (b.name, len(b.rows), b.batches, b.size) == ("b", 30, "no_duplicates", 4)
    assert {each.batches for each in parts_of(Stage(both, loss, "shuffled"), options)} == {"shuffled"}


@pytest.mark.parametrize(
    ("parts", "accumulation", "steps"),
    [
        ([(100, 8)], 1, 12),
        ([(100, 8)], 5, 2),
        ([(5, 8)], 1, 1),  # fewer rows than a batch are a batch
        ([(100, 8), (70, 8), (50, 4)], 3, 4 + 2 + 4),  # batches of one dataset make a step
    ],
)
def test_steps_in_an_epoch(parts: list[tuple[int, int]], accumulation: int, steps: int) -> None:
    options = TrainingOptions(gradient_accumulation=accumulation)
    assert per_epoch([part(*each) for each in parts], options) == steps


def test_a_last_batch_of_a_few_rows_is_left_out_unless_it_is_the_only_one() -> None:
    assert drop_last([part(9, 8)])
    assert drop_last([part(8, 8)])
    assert not drop_last([part(7, 8)])
    assert drop_last([part(7, 8), part(7, 8)])
    assert [len(batch) for batch in batches_of(part(9, 4), True, 0)] == [4, 4]
    assert [len(batch) for batch in batches_of(part(9, 4), False, 0)] == [4, 4, 1]


def test_each_epoch_has_an_order_of_its_own_and_a_resumed_one_has_the_same() -> None:
    sampler = batches_of(part(40, 8), True, seed=1)
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] == orders[2] != orders[1]
    assert sorted(row for batch in orders[0] for row in batch) == list(range(40))
    other = batches_of(part(40, 8), True, seed=2)
    assert list(other) != orders[0]


@pytest.mark.parametrize("size", [2, 5, 3])
def test_labels_take_pairs_of_two_labels(size: int) -> None:
    data = labelled(*["a"] * 8, *["b"] * 8)
    with pytest.raises(InputError) as caught:
        check_part(Part(None, data, "group_by_label", size), True, 1)
    assert caught.value.field == "batch_size"
    check_part(Part(None, data, "group_by_label", 4), True, 1)
    with pytest.raises(InputError):  # a single label makes no batch
        check_part(Part(None, labelled(*["a"] * 8), "group_by_label", 4), True, 1)


def test_rows_that_share_a_text_fill_no_batch() -> None:
    same = Dataset.from_dict({"anchor": ["a"] * 6, "positive": ["p"] * 6})
    for last in (True, False):
        # Without dropping the last one, each row would be a batch of its own, without a negative.
        with pytest.raises(InputError):
            check_part(Part(None, same, "no_duplicates", 4), last, 1)
    check_part(Part(None, same, "shuffled", 4), True, 1)
    check_part(Part(None, rows(4), "no_duplicates", 4), True, 1)


def test_each_of_several_datasets_fills_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part(16, 4, name="a"), part(12, 4, name="b")]
    check_parts(parts, TrainingOptions(gradient_accumulation=3))
    with pytest.raises(InputError, match="b"):
        check_parts(parts, TrainingOptions(gradient_accumulation=4))
    monkeypatch.setattr(_sampling, "processes", lambda: 2)
    check_parts(parts, TrainingOptions(gradient_accumulation=1))
    with pytest.raises(InputError, match="b"):
        check_parts(parts, TrainingOptions(gradient_accumulation=2))
    # A single dataset with few rows makes a small batch.
    check_parts([part(3, 8)], TrainingOptions(gradient_accumulation=4))


class Fewer(BatchSampler):
    """Promises four batches and gives three: rows that must not share a batch may leave fewer."""

    def __init__(self) -> None:
        super().__init__(range(12), 3, drop_last=True)

    def __iter__(self) -> Iterator[list[int]]:
        return islice(super().__iter__(), 3)


def test_a_step_that_cannot_be_filled_is_left_out() -> None:
    whole: Any = ConcatDataset([rows(12), rows(12)])  # type: ignore[arg-type]
    both: Any = [Fewer(), batches_of(part(12, 3, name="b"), True, 0)]
    sampler = SingleSourceBatchSampler(whole, both, seed=0, processes=1, accumulation=2)
    assert len(sampler) == 8
    batches = list(sampler)
    assert len(batches) == 6
    assert sum(row < 12 for batch in batches for row in batch) == 6
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        assert len({row < 12 for row in (*first, *second)}) == 1

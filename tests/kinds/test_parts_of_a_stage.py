"""The datasets of a stage: their batches and sizes, and which of them give no batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict

from nearfar.errors import InputError
from nearfar.kinds import _sampling
from nearfar.kinds._sampling import Part, check_parts, drop_last, parts_of
from nearfar.kinds.options import TrainingOptions
from nearfar.kinds.plan import Stage


def rows(count: int) -> Dataset:
    return Dataset.from_dict({"anchor": [f"a{i}" for i in range(count)], "positive": [f"p{i}" for i in range(count)]})


def labelled(*labels: str) -> Dataset:
    return Dataset.from_dict({"text": [f"t{i}" for i in range(len(labels))], "label": list(labels)})


def part(count: int, size: int, batches: Any = "shuffled", name: str | None = None) -> Part:
    return Part(name, rows(count), batches, size)


def check(one: Part) -> None:
    check_parts([one], TrainingOptions())


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


def test_a_last_batch_of_a_few_rows_is_left_out_unless_it_is_the_only_one() -> None:
    assert drop_last([part(9, 8)])
    assert drop_last([part(8, 8)])
    assert not drop_last([part(7, 8)])
    assert drop_last([part(7, 8), part(7, 8)])


@pytest.mark.parametrize("size", [2, 5, 3])
def test_labels_take_pairs_of_two_labels(size: int) -> None:
    data = labelled(*["a"] * 8, *["b"] * 8)
    with pytest.raises(InputError) as caught:
        check(Part(None, data, "group_by_label", size))
    assert caught.value.field == "batch_size"
    check(Part(None, data, "group_by_label", 4))
    with pytest.raises(InputError):  # a single label makes no batch
        check(Part(None, labelled(*["a"] * 8), "group_by_label", 4))


def test_rows_that_share_a_text_fill_no_batch() -> None:
    same = Dataset.from_dict({"anchor": ["a"] * 6, "positive": ["p"] * 6})
    with pytest.raises(InputError):
        check(Part(None, same, "no_duplicates", 4))
    check(Part(None, same, "shuffled", 4))
    check(Part(None, rows(4), "no_duplicates", 4))


def test_each_of_several_datasets_fills_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [part(16, 4, name="a"), part(12, 4, name="b")]
    check_parts(parts, TrainingOptions(gradient_accumulation=3))
    with pytest.raises(InputError, match="b"):
        check_parts(parts, TrainingOptions(gradient_accumulation=4))
    monkeypatch.setattr(_sampling, "processes", lambda: 2)
    check_parts(parts, TrainingOptions(gradient_accumulation=1))
    with pytest.raises(InputError, match="b"):
        check_parts(parts, TrainingOptions(gradient_accumulation=2))


def test_a_single_dataset_with_few_rows_makes_a_small_batch() -> None:
    check_parts([part(3, 8)], TrainingOptions(gradient_accumulation=4))

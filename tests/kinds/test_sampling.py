"""Which rows an epoch draws, in which batches, and what is said of those that it leaves out."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch
from datasets import Dataset
from sentence_transformers.base.sampler import GroupByLabelBatchSampler, NoDuplicatesBatchSampler

from nearfar.kinds._clashes import clashes_of, distinct_batches
from nearfar.kinds._orders import ByLabel, Distinct
from nearfar.kinds._sampling import Epochs, Part, RunBatches
from nearfar.kinds.drawn import left_out_note
from nearfar.kinds.options import TrainingOptions


def pairs(n: int, anchors: int, positives: int, seed: int = 0) -> Dataset:
    """Pairs over a few texts: some stand in both columns."""
    draw = random.Random(seed)
    return Dataset.from_dict(
        {
            "anchor": [f"a{draw.randrange(anchors)}" for _ in range(n)],
            "positive": [f"{draw.choice('ap')}{draw.randrange(positives)}" for _ in range(n)],
            "score": [0.5] * n,  # no text
        }
    )


def shared(n: int = 80, same: int = 65) -> Dataset:
    return Dataset.from_dict(
        {"anchor": [f"a{i}" for i in range(n)], "positive": ["same" if i < same else f"p{i}" for i in range(n)]}
    )


def labelled(*counts: int) -> Dataset:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return Dataset.from_dict({"text": [f"text {i}" for i in range(len(labels))], "label": labels})


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


@pytest.mark.parametrize("size", [2, 3, 8, 16])
@pytest.mark.parametrize("texts", [(2, 3), (5, 40), (40, 5), (1000, 2), (1000, 1000)])
def test_rows_wait_in_the_order_that_sentence_transformers_has(texts: tuple[int, int], size: int) -> None:
    for seed in range(10):
        rows = pairs(40 + seed, *texts, seed=seed)
        theirs = NoDuplicatesBatchSampler(
            rows, size, False, ["score"], generator=torch.Generator().manual_seed(seed), seed=seed
        )
        columns = rows.select_columns(["anchor", "positive"])
        expected = theirs._iter_one_pass(
            lambda row, columns=columns: set(columns[row].values()), lambda own, used: not own.isdisjoint(used)
        )
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed), dtype=torch.int32).tolist()
        found = list(distinct_batches(order, clashes_of(rows).texts, size, drop_last=False))
        assert found == [batch for batch in expected if len(batch) > 1]


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


def test_rows_that_share_a_text_wait_and_what_no_batch_takes_is_said() -> None:
    epochs = Epochs([Part(None, shared(), "no_duplicates", 8)], 0)
    assert [len(batch) for batch in epochs.batches(0)] == [8, 8, 2]
    (entry,) = epochs.described(epochs.rounds(TrainingOptions(epochs=3)))
    assert entry["rows_per_epoch"] == 18
    assert entry["smaller_batches_per_epoch"] == 1
    assert entry["rows_in_all"] == 54
    note = left_out_note(entry)
    assert note is not None
    assert note.startswith("62 of 80 rows are left out of each epoch")
    assert "65 rows have the text 'same'" in note
    # As many as there are batches: all are drawn, though they do not fit where they stand.
    assert len(flat(Distinct(shared(80, 9), 8, True, 0).batches(0))) == 80
    # Rows that do not fill a last batch are no others than ever.
    (entry,) = Epochs([Part(None, shared(83, 1), "no_duplicates", 8)], 0).described(10)
    assert left_out_note(entry) == (
        "3 of 83 rows are left out of each epoch: they do not fill a batch of 8 (others in each epoch)"
    )
    (entry,) = Epochs([Part(None, shared(80, 1), "no_duplicates", 8)], 0).described(10)
    assert left_out_note(entry) is None


def test_values_that_are_missing_or_no_texts() -> None:
    rows = Dataset.from_dict({"a": ["x", "y", "z"], "b": [None, None, "x"], "c": [[1], [1], [2]], "label": [1, 1, 1]})
    assert set(clashes_of(rows).texts) == {0, 1, 2}  # x of 0 and 2, [1] of 0 and 1
    assert clashes_of(rows.remove_columns(["a", "c"])).texts == {}
    assert clashes_of(rows.select([2, 0])).texts.keys() == {0, 1}, "rows that were chosen, by their new numbers"


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


def test_reasons_of_labels_add_up() -> None:
    (entry,) = Epochs([Part(None, labelled(151, 9, 1), "group_by_label", 8)], 0).described(4)
    left = {each["reason"].split(":")[0]: each["rows"] for each in entry["left_out"]}
    assert sum(left.values()) == 161 - 32 == 161 - entry["rows_per_epoch"]
    assert left["no other row has their label"] == 1
    assert left["labels are too unequal"] == 150 - 24
    note = left_out_note(entry)
    assert note is not None
    assert "151 of 161 rows have the same" in note


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_run_is_as_long_as_it_says_and_starts_no_epoch_early(processes: int, accumulation: int) -> None:
    parts = [Part("a", pairs(90, 30, 30), "no_duplicates", 8), Part("b", labelled(60, 20), "group_by_label", 4)]
    for chosen in (parts[:1], parts):
        epochs = Epochs(chosen, 0, processes=processes, accumulation=accumulation)
        run = RunBatches(epochs, epochs.rounds(TrainingOptions(epochs=3)))
        batches = list(run)
        each = [list(epochs.batches(epoch)) for epoch in range(3)]
        assert batches == [batch for epoch in each for batch in epoch]
        assert len(batches) == len(run) == run.rounds * processes
        assert all(len(epoch) % processes == 0 for epoch in each)
        assert run.epochs_after(run.steps) == 3
        assert 0 < run.epochs_after(1) < 1
        assert sum(part["rows_in_all"] for part in epochs.described(run.rounds)) == len(flat(batches))
    half = RunBatches(epochs, epochs.rounds(TrainingOptions(epochs=1.5)))
    assert 1.4 < half.epochs_after(half.steps) < 1.8
    assert epochs.rounds(TrainingOptions(max_steps=7)) == 7 * accumulation


def test_a_budget_of_rows_counts_what_is_drawn() -> None:
    plain, short = (Epochs([Part(None, shared(80, same), "no_duplicates", 8)], 0) for same in (1, 65))
    assert plain.rounds(TrainingOptions(), rows=80) == 10
    assert plain.rounds(TrainingOptions(), rows=83) == 10
    assert short.rounds(TrainingOptions(), rows=80) == 13  # 18 rows in 3 batches, four times, and 8 more


class Counting(dict[int, tuple[int, ...]]):
    """Counts how often a row is looked at."""

    looked = 0

    def get(self, key: int, default: object = None) -> object:
        self.looked += 1
        return super().get(key, default)


@pytest.mark.parametrize("same", [2, 20, 1000])
def test_rows_that_wait_are_not_looked_at_again_in_every_batch(same: int) -> None:
    n = 20_000
    rows = Dataset.from_dict(
        {"anchor": [f"a{i}" for i in range(n)], "positive": [f"x{i % same}" if i % 2 else f"p{i}" for i in range(n)]}
    )
    texts = Counting(clashes_of(rows).texts)
    batches = list(distinct_batches(range(n), texts, 64, drop_last=True))
    assert len(flat(batches)) > n / 2
    assert texts.looked < 3 * n

"""Which rows the epochs of a run draw, and what is reported about those that they leave out."""

from __future__ import annotations

import pytest
from rows_for_batches import flat, labelled, pairs, shared

from nearfar.kinds._orders import Distinct
from nearfar.kinds._sampling import Epochs, Part, RunBatches
from nearfar.kinds.drawn import left_out_note
from nearfar.kinds.options import TrainingOptions


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

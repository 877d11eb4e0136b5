"""How rows become batches: within one data set, and over several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.base.sampler import (
    DefaultBatchSampler,
    GroupByLabelBatchSampler,
    MultiDatasetDefaultBatchSampler,
    NoDuplicatesBatchSampler,
)
from torch.utils.data import BatchSampler, ConcatDataset

from nearfar.data.stored import as_stored
from nearfar.errors import InputError, about
from nearfar.kinds._processes import processes

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Batches, Stage


@dataclass(frozen=True)
class Part:
    """One dataset of a stage, and how it is drawn from.

    Args:
        name: Its key where there are several, else None.
        rows: The data set.
        batches: As `Stage.batches` has it.
        size: Rows in a batch.
    """

    name: str | None
    rows: Dataset
    batches: Batches
    size: int


def parts_of(stage: Stage, options: TrainingOptions) -> list[Part]:
    """The datasets of a stage."""
    from datasets import DatasetDict

    if not isinstance(stage.rows, DatasetDict):
        assert isinstance(stage.batches, str)
        return [Part(None, stage.rows, stage.batches, options.batch_size)]
    kinds, sizes = stage.batches, stage.batch_sizes or {}
    return [
        Part(name, rows, kinds[name] if isinstance(kinds, Mapping) else kinds, sizes.get(name, options.batch_size))
        for name, rows in ((str(name), rows) for name, rows in stage.rows.items())
    ]


def per_epoch(parts: Sequence[Part], options: TrainingOptions) -> int:
    """Optimiser steps in one pass over all rows."""
    return sum(max(1, len(part.rows) // part.size) // options.gradient_accumulation for part in parts)


def drop_last(parts: Sequence[Part]) -> bool:
    """A last batch of a few rows has few negatives and a loss of its own scale; only tiny data needs it."""
    return len(parts) > 1 or len(parts[0].rows) >= parts[0].size


def check_parts(parts: Sequence[Part], options: TrainingOptions) -> None:
    """Raise an InputError where one of the datasets gives no batch."""
    for part in parts:
        check_part(part, drop_last(parts), processes() * options.gradient_accumulation)


def check_part(part: Part, drop_last: bool, in_step: int) -> None:
    """What the samplers would refuse, or answer with no batch at all.

    Args:
        part: The data set.
        drop_last: Whether a last batch of fewer rows is left out.
        in_step: Batches of one data set that an optimiser step takes; several data sets only.

    Raises:
        InputError: no batch can be drawn.
    """
    by_label, size = part.batches == "group_by_label", part.size
    with about(part.name, part.rows.column_names):
        if part.name is not None and len(part.rows) < size * in_step:
            raise InputError(
                f"{len(part.rows)} rows do not fill one step of {size * in_step}",
                remedy="give more rows, or a smaller batch_size",
            )
        if part.batches == "shuffled":
            return
        if by_label and (size < 4 or size % 2):
            problem = f"{size} texts are no pairs of at least two labels"
            raise InputError(problem, field="batch_size", remedy="use an even number, 4 or more")
        sampler = GroupByLabelBatchSampler if by_label else NoDuplicatesBatchSampler
        try:
            drawn = sampler(as_stored(part.rows), size, drop_last, valid_label_columns=["label"])
        except ValueError:  # sentence-transformers', of fewer than two labels with two texts each
            drawn = ()
        if len(next(iter(drawn), ())) < 2:
            raise InputError(
                f"no batch of {size} rows can be drawn: "
                + ("too few texts of more than one label" if by_label else "too few rows differ in all their texts"),
                remedy="give more such rows, or a smaller batch_size",
            )


def batches_of(part: Part, drop_last: bool, seed: int) -> DefaultBatchSampler:
    """Draw batches of one data set, with a generator that nothing else draws from."""
    generator = torch.Generator().manual_seed(seed)
    if part.batches == "shuffled":
        return ShuffledBatchSampler(part.rows, part.size, drop_last, None, generator, seed)
    sampler = GroupByLabelBatchSampler if part.batches == "group_by_label" else NoDuplicatesBatchSampler
    return sampler(as_stored(part.rows), part.size, drop_last, ["label"], generator=generator, seed=seed)


class ShuffledBatchSampler(DefaultBatchSampler):
    """All rows in a random order that seed and epoch decide: an epoch that is resumed has the same."""

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.Generator().manual_seed(self.seed + self.epoch)
        rows: Any = self.sampler
        shuffled = torch.randperm(len(rows), generator=order)
        for batch in shuffled.split(self.batch_size):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch.tolist()


class SingleSourceBatchSampler(MultiDatasetDefaultBatchSampler):
    """Batches of several data sets in random order, where all batches of one optimiser step are of one data set.

    A data set takes as many steps as it has batches for, so that its batch size says how much it counts. A step is a
    run of `processes * accumulation` batches: of neighbouring batches, accelerate gives one to each process. What does
    not fill a step is left out of the epoch.

    Args:
        dataset: All rows.
        batch_samplers: One for each data set, with a batch size and a generator of its own.
        generator: Not used: the order is drawn anew from seed and epoch.
        seed: The same in all processes.
        processes: How many take part.
        accumulation: Batches of each process in one optimiser step.

    Source: Zhang et al. 2025, CoDiEmb.
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int = 0,
        *,
        processes: int = 1,
        accumulation: int = 1,
    ) -> None:
        super().__init__(dataset, batch_samplers, generator, seed)
        self.in_step = processes * accumulation
        # Sizes differ between data sets; accelerate takes None to mean just that.
        self.batch_size: Any = None
        self.drop_last = True

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.Generator().manual_seed(self.seed + self.epoch)
        offsets = [0, *accumulate(len(part) for part in self.dataset.datasets)]  # type: ignore[arg-type]
        steps = torch.tensor([which for which, count in enumerate(self._steps()) for _ in range(count)])
        drawn = [iter(sampler) for sampler in self.batch_samplers]
        for which in steps[torch.randperm(len(steps), generator=order)].tolist():
            step = list(islice(drawn[which], self.in_step))
            # Rows that must not share a batch may leave fewer batches than their number promised.
            if len(step) == self.in_step:
                yield from ([index + offsets[which] for index in batch] for batch in step)

    def _steps(self) -> list[int]:
        return [len(sampler) // self.in_step for sampler in self.batch_samplers]

    def __len__(self) -> int:
        return sum(self._steps()) * self.in_step

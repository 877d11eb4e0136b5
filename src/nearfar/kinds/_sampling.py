"""How batches are drawn: from one dataset, and from several."""

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
    """One dataset of a stage, and how batches are drawn from it.

    Args:
        name: Its key if there are several datasets, otherwise None.
        rows: The dataset.
        batches: How rows are drawn, as in `Stage.batches`.
        size: Batch size.
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
    """Whether to skip an incomplete last batch: it has few negatives, and only very small datasets need it."""
    return len(parts) > 1 or len(parts[0].rows) >= parts[0].size


def check_parts(parts: Sequence[Part], options: TrainingOptions) -> None:
    """Raise an InputError if no batch can be drawn from one of the datasets."""
    for part in parts:
        check_part(part, drop_last(parts), processes() * options.gradient_accumulation)


def check_part(part: Part, drop_last: bool, in_step: int) -> None:
    """Raise an InputError if the samplers would fail or return no batch.

    Args:
        part: The dataset.
        drop_last: Whether an incomplete last batch is skipped.
        in_step: Batches of one dataset in an optimiser step; only with several datasets.

    Raises:
        InputError: No batch can be drawn.
    """
    by_label, size = part.batches == "group_by_label", part.size
    with about(part.name, part.rows.column_names):
        if part.name is not None and len(part.rows) < size * in_step:
            raise InputError(
                f"expected at least {size * in_step} rows (one step), got {len(part.rows)}",
                remedy="use more rows, or a smaller batch_size",
            )
        if part.batches == "shuffled":
            return
        if by_label and (size < 4 or size % 2):
            problem = f"invalid value {size}: must allow pairs of texts from at least two labels"
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
                remedy="use more such rows, or a smaller batch_size",
            )


def batches_of(part: Part, drop_last: bool, seed: int) -> DefaultBatchSampler:
    """Draw batches of one dataset, with a random generator of its own."""
    generator = torch.Generator().manual_seed(seed)
    if part.batches == "shuffled":
        return ShuffledBatchSampler(part.rows, part.size, drop_last, None, generator, seed)
    sampler = GroupByLabelBatchSampler if part.batches == "group_by_label" else NoDuplicatesBatchSampler
    return sampler(as_stored(part.rows), part.size, drop_last, ["label"], generator=generator, seed=seed)


class ShuffledBatchSampler(DefaultBatchSampler):
    """All rows in a random order that depends only on seed and epoch, so a resumed epoch has the same order."""

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.Generator().manual_seed(self.seed + self.epoch)
        rows: Any = self.sampler
        shuffled = torch.randperm(len(rows), generator=order)
        for batch in shuffled.split(self.batch_size):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch.tolist()


class SingleSourceBatchSampler(MultiDatasetDefaultBatchSampler):
    """Batches of several datasets in random order, where all batches of one optimiser step are from one dataset.

    The number of steps of a dataset follows from its number of batches, so its batch size decides its weight. A step
    consists of `processes * accumulation` consecutive batches: accelerate gives one batch to each process. Batches that
    do not fill a step are skipped in this epoch.

    Args:
        dataset: All rows.
        batch_samplers: One for each dataset, each with its own batch size and generator.
        generator: Not used: the order depends only on seed and epoch.
        seed: The same in all processes.
        processes: Number of processes.
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
        # Batch sizes differ between datasets; for accelerate, None means this.
        self.batch_size: Any = None
        self.drop_last = True

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.Generator().manual_seed(self.seed + self.epoch)
        offsets = [0, *accumulate(len(part) for part in self.dataset.datasets)]  # type: ignore[arg-type]
        steps = torch.tensor([which for which, count in enumerate(self._steps()) for _ in range(count)])
        drawn = [iter(sampler) for sampler in self.batch_samplers]
        for which in steps[torch.randperm(len(steps), generator=order)].tolist():
            step = list(islice(drawn[which], self.in_step))
            # If some rows must not share a batch, there may be fewer batches than expected.
            if len(step) == self.in_step:
                yield from ([index + offsets[which] for index in batch] for batch in step)

    def _steps(self) -> list[int]:
        return [len(sampler) // self.in_step for sampler in self.batch_samplers]

    def __len__(self) -> int:
        return sum(self._steps()) * self.in_step

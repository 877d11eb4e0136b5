"""How rows become batches: the datasets of a stage, the batches of a whole run, and what is said of them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, islice
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import BatchSampler

from nearfar.errors import InputError, about
from nearfar.kinds._orders import Order, order_of
from nearfar.kinds._processes import processes
from nearfar.kinds.drawn import LeftOut, drawn_entry

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Batches, Rehearsal, Stage


@dataclass(frozen=True)
class Part:
    """One dataset of a stage, and how batches are drawn from it.

    Args:
        name: Its key if there are several datasets, otherwise None.
        rows: The dataset.
        batches: How rows are drawn, as in `Stage.batches`.
        size: Batch size of each process.
        rehearsal: The rows that fill a fixed share of every batch.
    """

    name: str | None
    rows: Dataset
    batches: Batches
    size: int
    rehearsal: Rehearsal | None = None

    def order(self, drop_last: bool, seed: int, processes: int = 1) -> Order:
        """How its batches are drawn; those of one step of all processes stand together."""
        return order_of(self.batches, self.rows, self.size, drop_last, seed, self.rehearsal, processes)


def parts_of(stage: Stage, options: TrainingOptions) -> list[Part]:
    """The datasets of a stage."""
    from datasets import DatasetDict

    if not isinstance(stage.rows, DatasetDict):
        assert isinstance(stage.batches, str)
        return [Part(None, stage.rows, stage.batches, options.batch_size, stage.rehearsal)]
    kinds, sizes = stage.batches, stage.batch_sizes or {}
    return [
        Part(name, rows, kinds[name] if isinstance(kinds, Mapping) else kinds, sizes.get(name, options.batch_size))
        for name, rows in ((str(name), rows) for name, rows in stage.rows.items())
    ]


def check_parts(parts: Sequence[Part], options: TrainingOptions) -> None:
    """Raise an InputError where one of the datasets gives no batch."""
    count = processes()
    in_step = count * options.gradient_accumulation if len(parts) > 1 else count
    for part in parts:
        with about(part.name, part.rows.column_names):
            _check_part(part, drop_last(parts, count), in_step, count)


def drop_last(parts: Sequence[Part], processes: int = 1) -> bool:
    """Whether to skip an incomplete last batch: it has few negatives, and only very small datasets need it."""
    return len(parts) > 1 or len(parts[0].rows) >= parts[0].size * processes


def _check_part(part: Part, drop_last: bool, in_step: int, processes: int) -> None:
    """Raise an InputError where no batch can be drawn, or fewer than one step needs.

    Args:
        part: The dataset.
        drop_last: Whether a last batch of fewer rows is left out.
        in_step: Batches that are drawn together: one for each process; of one of several datasets, those of a step.
        processes: How many take part.
    """
    by_label, size = part.batches == "group_by_label", part.size
    if part.name is not None and len(part.rows) < size * in_step:
        raise InputError(
            f"expected at least {size * in_step} rows (one step), got {len(part.rows)}",
            remedy="use more rows, or a smaller batch_size",
        )
    if by_label and (size < 4 or size % 2):
        problem = f"invalid value {size}: must allow pairs of texts from at least two labels"
        raise InputError(problem, field="batch_size", remedy="use an even number, 4 or more")
    try:
        found = len(part.order(drop_last, 0, processes).batches(0))
    except ValueError:  # sentence-transformers', of fewer than two labels with two texts each
        found = 0
    if not found:
        raise InputError(
            f"no batch of {size * processes} rows can be drawn: "
            + ("too few texts of more than one label" if by_label else "too few rows differ in all their texts"),
            remedy="use more such rows, or a smaller batch_size",
        )
    if found < in_step:
        raise InputError(
            f"{found} batches of {size} rows can be drawn, and one step takes {in_step}",
            remedy="use more rows, or a smaller batch_size",
        )


class Epochs:
    """The batches of every epoch, known before it starts.

    Of one dataset they come in its order. Of several, all batches of one optimiser step are of one dataset: a dataset
    takes as many steps as it has batches for, so that its batch size says how much it counts, and the steps come in
    random order. Batches that do not fill a step of all processes are left out of the epoch.

    Args:
        parts: The datasets.
        seed: The same in all processes.
        processes: How many take part: of neighbouring batches, accelerate gives one to each.
        accumulation: Batches of each process in one optimiser step.

    Source: Zhang et al. 2025, CoDiEmb, for several datasets.
    """

    def __init__(self, parts: Sequence[Part], seed: int, *, processes: int = 1, accumulation: int = 1) -> None:
        self.parts, self.seed = parts, seed
        self.orders: list[Order] = [part.order(drop_last(parts, processes), seed, processes) for part in parts]
        #: Batches that are drawn together.
        self.together = processes * accumulation if len(parts) > 1 else processes
        self.processes, self.accumulation = processes, accumulation
        self.offsets = [0, *accumulate(len(part.rows) for part in parts)]
        self._lengths: dict[int, int] = {}

    def length(self, epoch: int) -> int:
        """Batches in an epoch."""
        if epoch not in self._lengths:
            self._lengths[epoch] = sum(len(batches) for batches in self._drawn(epoch))
        return self._lengths[epoch]

    def batches(self, epoch: int) -> Iterator[list[int]]:
        """The batches of an epoch, as numbers of rows, counted through all datasets."""
        drawn = self._drawn(epoch)
        if len(drawn) == 1:
            yield from drawn[0]
            return
        steps = torch.tensor([part for part, batches in enumerate(drawn) for _ in batches[:: self.together]])
        order = torch.randperm(len(steps), generator=torch.Generator().manual_seed(self.seed + epoch))
        left = [iter(batches) for batches in drawn]
        for part in steps[order].tolist():
            for batch in islice(left[part], self.together):
                yield [row + self.offsets[part] for row in batch]

    def _drawn(self, epoch: int) -> list[list[list[int]]]:
        """The batches of each dataset, as many as fill steps."""
        each = (order.batches(epoch) for order in self.orders)
        return [batches[: len(batches) // self.together * self.together] for batches in each]

    def rounds(self, options: TrainingOptions, rows: int = 0) -> int:
        """Batches of each process in a run.

        Args:
            options: `max_steps`, or `epochs`.
            rows: To draw in all, whatever the options say; 0: as they say.
        """
        if rows:
            return self._steps_of(rows) * self.accumulation
        if options.max_steps:
            return options.max_steps * self.accumulation
        whole = math.floor(options.epochs)
        found = sum(self.length(epoch) for epoch in range(whole)) // self.processes
        if options.epochs > whole:
            # A product such as 0.1 * 30 must not become one batch more.
            found += math.ceil(round((options.epochs - whole) * self.length(whole) / self.processes, 6))
        return max(1, found)

    def _steps_of(self, rows: int) -> int:
        """Optimiser steps after which about so many rows have been drawn, by all processes together."""
        in_step, drawn = self.processes * self.accumulation, 0
        batches = self.forever()
        for step in count(1):
            now = sum(map(len, islice(batches, in_step)))
            drawn += now
            if drawn + now / 2 > rows:
                return step
        raise AssertionError

    def forever(self, *, with_epoch: bool = False) -> Iterator[list[int]]:
        """The batches of one epoch after the other.

        Args:
            with_epoch: Add the number of all rows to that of a row for each earlier epoch, see `nearfar.kinds._views`.
        """
        for epoch in count():
            if not self.length(epoch):
                raise InputError(
                    f"no batch can be drawn in epoch {epoch + 1}", remedy="give more rows, or a smaller batch_size"
                )
            earlier = epoch * self.offsets[-1] if with_epoch else 0
            for batch in self.batches(epoch):
                yield [row + earlier for row in batch]

    def described(self, rounds: int) -> list[dict[str, Any]]:
        """What `metrics.json` says of the rows that are drawn, of each dataset.

        Args:
            rounds: Batches of each process in the run.
        """
        in_all = [0] * len(self.parts)
        for batch in islice(self.forever(), rounds * self.processes):
            in_all[bisect_right(self.offsets, batch[0]) - 1] += len(batch)
        return [
            drawn_entry(
                order.rows,
                list(map(len, batches)),
                part.size,
                rows,
                self._left_out(order, batches),
                dataset=part.name,
            )
            for part, order, batches, rows in zip(self.parts, self.orders, self._drawn(0), in_all, strict=True)
        ]

    def _left_out(self, order: Order, batches: Sequence[Sequence[int]]) -> list[LeftOut]:
        unfilled = sum(map(len, order.batches(0)[len(batches) :]))
        reason = f"their batches do not fill a step of {self.together} (others in each epoch)"
        return [*order.left_out(), *([LeftOut(unfilled, reason)] if unfilled else [])]


class RunBatches(BatchSampler):
    """The batches of a whole run, one epoch after the other: its length is exactly what is drawn.

    The trainer takes it for a single epoch, so that all that it counts is right, however many batches each epoch has.

    Args:
        epochs: The batches of every epoch.
        rounds: Batches of each process in the run.
        with_epoch: Whether the numbers of rows say the epoch too, see `nearfar.kinds._views`.
    """

    def __init__(self, epochs: Epochs, rounds: int, *, with_epoch: bool = False) -> None:
        super().__init__(range(epochs.offsets[-1]), 1, drop_last=True)
        self.epochs, self.rounds, self.with_epoch = epochs, rounds, with_epoch
        # Batches differ in size; accelerate takes None to mean just that.
        self.batch_size: Any = None
        self._ends: list[int] = []

    def __iter__(self) -> Iterator[list[int]]:
        return islice(self.epochs.forever(with_epoch=self.with_epoch), len(self))

    def __len__(self) -> int:
        return self.rounds * self.epochs.processes

    @property
    def steps(self) -> int:
        """Optimiser steps; the last may have fewer batches than others."""
        return math.ceil(self.rounds / self.epochs.accumulation)

    def epochs_after(self, step: int) -> float:
        """Epochs that are done after so many steps."""
        batches = min(step * self.epochs.accumulation * self.epochs.processes, len(self))
        while not self._ends or self._ends[-1] < batches:
            self._ends.append((self._ends[-1] if self._ends else 0) + self.epochs.length(len(self._ends)))
        epoch = bisect_left(self._ends, batches)
        start = self._ends[epoch - 1] if epoch else 0
        return epoch + (batches - start) / (self._ends[epoch] - start)

"""In what order the rows of one dataset are drawn: all batches of an epoch, and which rows are left out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.base.sampler import GroupByLabelBatchSampler

from nearfar.data.stored import as_stored
from nearfar.kinds._clashes import clashes_of, distinct_batches
from nearfar.kinds.drawn import LeftOut, remainder

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.plan import Batches, Rehearsal

#: Characters of a text in a message.
SHOWN = 40


class Order(ABC):
    """How batches are drawn from the rows of one dataset. Seed and epoch alone decide them.

    No row is drawn twice in an epoch, except those of `Rehearsed`.

    Args:
        rows: The dataset.
        size: Rows in a batch.
        drop_last: Whether a last batch of fewer rows is left out.
        seed: The same in all processes.
    """

    #: Rows that each of several processes needs: some losses compare the rows of one process alone.
    least_per_process = 2

    def __init__(self, rows: Dataset, size: int, drop_last: bool, seed: int) -> None:
        self.rows, self.size, self.drop_last, self.seed = len(rows), size, drop_last, seed
        self._kept: tuple[int, list[list[int]]] | None = None

    def batches(self, epoch: int) -> list[list[int]]:
        """All batches of an epoch, as numbers of rows."""
        if self._kept is None or self._kept[0] != epoch:
            self._kept = epoch, self._draw(epoch)
        return self._kept[1]

    @abstractmethod
    def _draw(self, epoch: int) -> list[list[int]]: ...

    def divided(self, batch: list[int], processes: int) -> list[list[int]]:
        """The rows of each process of a batch; their numbers differ by one at most."""
        ends = [len(batch) * rank // processes for rank in range(processes + 1)]
        return [batch[start:end] for start, end in pairwise(ends)]

    def left_out(self) -> list[LeftOut]:
        """The rows that the first epoch leaves out, by reason. In others their number may differ a little."""
        missing = self.rows - sum(map(len, self.batches(0)))
        return self._reasons(missing) if missing else []

    def _reasons(self, missing: int) -> list[LeftOut]:
        return [LeftOut(missing, remainder(self.size))]


class OfProcesses(Order):
    """The batches of another order, each divided among processes, which train together on what one process would.

    So a text is in no two of them where it may not be twice in a batch. A batch that has fewer than
    `least_per_process` rows for each process is left out.

    Args:
        whole: Draws batches with the rows of all processes.
        processes: How many there are; of neighbouring batches, accelerate gives one to each.
    """

    def __init__(self, whole: Order, processes: int) -> None:
        self.rows, self.size, self.drop_last, self.seed = whole.rows, whole.size, whole.drop_last, whole.seed
        self.whole, self.processes = whole, processes
        self._kept = None

    def _draw(self, epoch: int) -> list[list[int]]:
        batches = [batch for batch in self.whole.batches(epoch) if len(batch) >= self._least]
        return [part for batch in batches for part in self.whole.divided(batch, self.processes)]

    @property
    def _least(self) -> int:
        return self.whole.least_per_process * self.processes

    def left_out(self) -> list[LeftOut]:
        """Those of the other order, and those of batches that are too small."""
        small = sum(len(batch) for batch in self.whole.batches(0) if len(batch) < self._least)
        reason = f"their batch has fewer than {self._least} rows, {self.whole.least_per_process} for each process"
        return [*self.whole.left_out(), *([LeftOut(small, reason)] if small else [])]


class Shuffled(Order):
    """All rows in a random order."""

    def _draw(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + epoch)
        return _split(torch.randperm(self.rows, generator=generator), self.size, self.drop_last)


class Rehearsed(Order):
    """The first rows in a random order; a fixed share of every batch are the last ones, which take turns.

    Args:
        rehearsal: The number of the last rows, and their share.
    """

    def __init__(self, rows: Dataset, size: int, drop_last: bool, seed: int, rehearsal: Rehearsal) -> None:
        super().__init__(rows, size, drop_last, seed)
        self.new, self.old = self.rows - rehearsal.rows, rehearsal.rows
        self.places = min(size - 1, max(1, round(size * rehearsal.share)))

    def _draw(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + epoch)
        new = torch.randperm(self.new, generator=generator).split(self.size - self.places)
        if len(new) > 1 and len(new[-1]) < self.size - self.places:
            new = new[:-1]
        needed, turns = len(new) * self.places, []
        while sum(map(len, turns)) < needed:
            turns.append(torch.randperm(self.old, generator=generator) + self.new)
        old = torch.cat(turns)[:needed].split(self.places)
        return [[*mine.tolist(), *others.tolist()] for mine, others in zip(new, old, strict=True)]

    def divided(self, batch: list[int], processes: int) -> list[list[int]]:
        """Each process has its share of the rehearsed rows, which are the last of a batch."""
        return [batch[rank::processes] for rank in range(processes)]

    def left_out(self) -> list[LeftOut]:
        """The new rows that fill no batch; of the rehearsed ones each epoch draws as many as it needs."""
        missing = self.new - sum(len(batch) - self.places for batch in self.batches(0))
        return self._reasons(missing) if missing else []


class Distinct(Order):
    """No text twice in a batch. A row whose text is there already waits for a later batch."""

    #: Batches may be small here, and the losses take the negatives of all processes.
    least_per_process = 1

    def __init__(self, rows: Dataset, size: int, drop_last: bool, seed: int) -> None:
        super().__init__(rows, size, drop_last, seed)
        self.clashes = clashes_of(rows)

    def _draw(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + epoch)
        kind = torch.int32 if self.rows < 2**31 else torch.int64  # as sentence-transformers draws them
        order = torch.randperm(self.rows, generator=generator, dtype=kind)
        if not self.clashes.texts:
            return _split(order, self.size, self.drop_last)
        return list(distinct_batches(order.tolist(), self.clashes.texts, self.size, self.drop_last))

    def _reasons(self, missing: int) -> list[LeftOut]:
        if missing < self.size and all(len(batch) == self.size for batch in self.batches(0)):
            return super()._reasons(missing)
        shown = self.clashes.example[:SHOWN] + ("..." if len(self.clashes.example) > SHOWN else "")
        return [
            LeftOut(
                missing,
                "rows that share a text cannot be in one batch, since each would be a negative of the other; "
                f"{self.clashes.most:,} rows have the text {shown!r}",
            )
        ]


class ByLabel(Order):
    """At least two labels in a batch, and at least two rows of each.

    Where labels have about equally many rows, the batches are those of sentence-transformers: labels take turns, two
    rows at a time. That ends when one label alone is left. Where whole batches of rows would be left out so, each label
    is spread evenly over all batches instead, so that the most frequent label fills up what the others leave free.

    Args:
        rows: With a column `label` of integers.
        size: Even, 4 or more.
        drop_last: Whether a last batch of fewer rows is left out.
        seed: The same in all processes.
    """

    def __init__(self, rows: Dataset, size: int, drop_last: bool, seed: int) -> None:
        super().__init__(rows, size, drop_last, seed)
        groups: dict[Any, list[int]] = {}
        for row, label in enumerate(as_stored(rows)["label"][:]):
            groups.setdefault(label, []).append(row)
        self.single = sum(len(group) == 1 for group in groups.values())
        self.groups = [group for group in groups.values() if len(group) > 1]
        self.odd = sum(len(group) % 2 for group in self.groups)
        self.in_turns = GroupByLabelBatchSampler(
            as_stored(rows), size, drop_last, ["label"], generator=torch.Generator(), seed=seed
        )
        pairs = sorted((len(group) // 2 for group in self.groups), reverse=True)
        self.spreads = 2 * (pairs[0] - pairs[1]) >= size
        #: Pairs of the most frequent label that are drawn: a batch has at least one pair of another.
        others = sum(pairs[1:])
        self.taken = min(pairs[0], (size // 2 - 1) * others)
        self.count = (self.taken + others) // (size // 2)
        self.unmatched = 2 * (pairs[0] - self.taken)

    def _draw(self, epoch: int) -> list[list[int]]:
        if not self.spreads:
            self.in_turns.set_epoch(epoch)
            return list(self.in_turns)
        generator = torch.Generator().manual_seed(self.seed + epoch)

        def shuffled(items: Sequence[Any]) -> list[Any]:
            return [items[i] for i in torch.randperm(len(items), generator=generator).tolist()]

        frequent = max(self.groups, key=len)
        most: list[tuple[int, int]] = []
        others: list[list[tuple[int, int]]] = []
        for group in shuffled(self.groups):
            rows = shuffled(group)
            pairs = list(zip(rows[::2], rows[1::2], strict=False))
            if group is frequent:
                most = pairs
            else:
                others.append(pairs)
        per_batch = self.size // 2
        most = most[: min(self.taken, (per_batch - 1) * self.count)]
        # What fills no batch is left out, of any label.
        free = per_batch * self.count - len(most)
        kept = set(torch.randperm(sum(map(len, others)), generator=generator)[:free].tolist())
        rest = [pair for number, pair in enumerate(pair for pairs in others for pair in pairs) if number in kept]
        # Neighbours go to different batches: a label that fills no more than all but one place of every batch on
        # average does so in each of them.
        batches: list[list[tuple[int, int]]] = [[] for _ in range(self.count)]
        for number, pair in enumerate([*most, *rest]):
            batches[number % self.count].append(pair)
        return [[row for pair in shuffled(batch) for row in pair] for batch in shuffled(batches)]

    def _reasons(self, missing: int) -> list[LeftOut]:
        found = {
            "no other row has their label": self.single,
            "their label has an odd number of rows, and a batch takes two at a time (others in each epoch)": (self.odd),
        }
        if self.spreads:
            largest, rows = max(map(len, self.groups)), self.rows
            found[
                f"labels are too unequal: a batch needs at least two rows of a second label, and {largest:,} of "
                f"{rows:,} rows have the same (others in each epoch)"
            ] = self.unmatched
        found[remainder(self.size)] = missing - sum(found.values())
        return [LeftOut(rows, reason) for reason, rows in found.items() if rows]


def order_of(
    batches: Batches,
    rows: Dataset,
    size: int,
    drop_last: bool,
    seed: int,
    rehearsal: Rehearsal | None = None,
    processes: int = 1,
) -> Order:
    """The order that `Stage.batches` names, or that of `Stage.rehearsal`; `size` is that of one process."""
    size *= processes
    if rehearsal is not None:
        found: Order = Rehearsed(rows, size, drop_last, seed, rehearsal)
    else:
        named = {"shuffled": Shuffled, "no_duplicates": Distinct, "group_by_label": ByLabel}[batches]
        found = named(rows, size, drop_last, seed)
    return found if processes == 1 else OfProcesses(found, processes)


def _split(order: torch.Tensor, size: int, drop_last: bool) -> list[list[int]]:
    batches = [batch.tolist() for batch in order.split(size)]
    if batches and (len(batches[-1]) < 2 or (drop_last and len(batches[-1]) < size)):
        batches.pop()
    return batches

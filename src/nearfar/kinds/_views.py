"""Rows that are made anew whenever they are drawn, see `nearfar.kinds.plan.RowViews`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset as TorchDataset

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.plan import RowViews

__all__ = ["DrawnRows"]


class DrawnRows(TorchDataset):
    """The views of rows, by a number that says both the row and the epoch: `row + epoch * len(rows)`.

    So the random generator of a view depends on seed, epoch and row alone: not on the process that makes it, nor on
    what was drawn before.
    """

    def __init__(self, rows: Dataset, views: RowViews, seed: int) -> None:
        self.rows, self.views, self.seed = rows, views, seed

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        (row,) = self.__getitems__([number])
        return row

    def __getitems__(self, numbers: Sequence[int]) -> list[Mapping[str, Any]]:
        places = [divmod(number, len(self.rows)) for number in numbers]
        stored = self.rows[[row for _, row in places]]
        return [
            self.views.make(
                {name: values[place] for name, values in stored.items()}, random.Random(f"{self.seed} {epoch} {row}")
            )
            for place, (epoch, row) in enumerate(places)
        ]

    def __len__(self) -> int:
        return len(self.rows)

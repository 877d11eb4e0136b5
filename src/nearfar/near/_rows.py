"""What builders of continuous weights share: rows of sum 1, and work by blocks of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor

from nearfar.blocks import DenseTargets, Near, Targets


class Normalised(Near):
    """P_ij = w_ij / sum_j w_ij; or, with the share of each column, w_ij / sum_i w_ij."""

    share: Tensor | None  # of the columns; None: rows are normalised

    @abstractmethod
    def _raw(self, rows: slice) -> Tensor:
        """The rows of w, as a new matrix."""

    def at(self, rows: slice) -> Targets:
        w = self._raw(rows)
        return DenseTargets(w.mul_(_inverse(w.sum(1, keepdim=True)) if self.share is None else self.share))

    def _column_share(self, n: int, totals: Tensor) -> Tensor:
        for rows in blocks_of_rows(n):
            totals += self._raw(rows).sum(0)
        return _inverse(totals)


def blocks_of_rows(n: int) -> Iterator[slice]:
    return (slice(start, min(start + 256, n)) for start in range(0, n, 256))


def _inverse(x: Tensor) -> Tensor:
    return torch.where(x > 0, 1 / x, 0)

"""Blocks of rows of P, as a diagonal, as a matrix, or as the entries that are not zero."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


class Targets(ABC):
    """A block of rows of P (b, m), as the operations that engines and builders of F need."""

    @abstractmethod
    def row_sums(self) -> Float[Tensor, " b"]:
        """sum_j P_ij."""

    @abstractmethod
    def column_sums(self) -> Float[Tensor, " m"]:
        """sum_i P_ij."""

    @abstractmethod
    def weighted_row_sums(self, x: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """sum_j P_ij x_ij."""

    @abstractmethod
    def subtract_from(self, x: Float[Tensor, "b m"], scale: Float[Tensor, " b"]) -> None:
        """x_ij -= scale_i P_ij, in place."""

    @abstractmethod
    def matmul(self, y: Float[Tensor, "m d"]) -> Float[Tensor, "b d"]:
        """P y: the weighted sum of the candidates of each anchor."""

    @abstractmethod
    def scatter_add(self, y: Float[Tensor, "b d"], out: Float[Tensor, "m d"]) -> None:
        """Out += P^T y, in place."""

    @abstractmethod
    def clear_positives(self, mask: Bool[Tensor, "b m"]) -> None:
        """Set a mask to False, in place, wherever candidate j is a positive of anchor i."""

    @abstractmethod
    def to_dense(self) -> Float[Tensor, "b m"]:
        """P itself."""

    def positive_means(self, x: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
        """The mean of x_ij over the positives of each anchor, weighted by P; infinity where it has none."""
        total = self.row_sums()
        return torch.where(total > 0, self.weighted_row_sums(x) / total, torch.inf)


class DiagonalTargets(Targets):
    """P_ij = 1 for j = i + `start` in the first `count` of `rows` rows, else 0: index work, no matrix."""

    def __init__(self, start: int, count: int, rows: int, candidates: int, like: Tensor) -> None:
        self.start, self.count, self.rows, self.candidates, self.like = start, count, rows, candidates, like

    def _diagonal(self, x: Tensor) -> Tensor:
        return x.diagonal(offset=self.start)[: self.count]

    def row_sums(self) -> Tensor:
        """See `Targets`."""
        return (torch.arange(self.rows, device=self.like.device) < self.count).to(self.like.dtype)

    def column_sums(self) -> Tensor:
        """See `Targets`."""
        sums = self.like.new_zeros(self.candidates)
        sums[self.start : self.start + self.count] = 1
        return sums

    def weighted_row_sums(self, x: Tensor) -> Tensor:
        """See `Targets`."""
        return F.pad(self._diagonal(x), (0, self.rows - self.count))

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        """See `Targets`."""
        self._diagonal(x).sub_(scale[: self.count])

    def matmul(self, y: Tensor) -> Tensor:
        """See `Targets`."""
        return F.pad(y[self.start : self.start + self.count], (0, 0, 0, self.rows - self.count))

    def scatter_add(self, y: Tensor, out: Tensor) -> None:
        """See `Targets`."""
        out[self.start : self.start + self.count] += y[: self.count]

    def clear_positives(self, mask: Tensor) -> None:
        """See `Targets`."""
        self._diagonal(mask).fill_(False)

    def to_dense(self) -> Tensor:
        """See `Targets`."""
        p = self.like.new_zeros(self.rows, self.candidates)
        self._diagonal(p).fill_(1)
        return p


class DenseTargets(Targets):
    """P as a matrix (b, m)."""

    def __init__(self, p: Float[Tensor, "b m"]) -> None:
        self.p = p

    def row_sums(self) -> Tensor:
        """See `Targets`."""
        return self.p.sum(1)

    def column_sums(self) -> Tensor:
        """See `Targets`."""
        return self.p.sum(0)

    def weighted_row_sums(self, x: Tensor) -> Tensor:
        """See `Targets`."""
        return torch.linalg.vecdot(self.p, x)

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        """See `Targets`."""
        x.addcmul_(self.p, scale[:, None], value=-1)

    def matmul(self, y: Tensor) -> Tensor:
        """See `Targets`."""
        return self.p @ y

    def scatter_add(self, y: Tensor, out: Tensor) -> None:
        """See `Targets`."""
        out.addmm_(self.p.T, y)

    def clear_positives(self, mask: Tensor) -> None:
        """See `Targets`."""
        mask &= self.p == 0

    def to_dense(self) -> Tensor:
        """See `Targets`."""
        return self.p


class SparseTargets(Targets):
    """P as its entries that are not zero: P[rows[k], columns[k]] = values[k], each entry listed once."""

    def __init__(
        self,
        rows: Int[Tensor, " entries"],
        columns: Int[Tensor, " entries"],
        values: Float[Tensor, " entries"],
        size: tuple[int, int],
    ) -> None:
        self.rows, self.columns, self.values, self.size = rows, columns, values, size

    def row_sums(self) -> Tensor:
        """See `Targets`."""
        return self.values.new_zeros(self.size[0]).index_add_(0, self.rows, self.values)

    def column_sums(self) -> Tensor:
        """See `Targets`."""
        return self.values.new_zeros(self.size[1]).index_add_(0, self.columns, self.values)

    def weighted_row_sums(self, x: Tensor) -> Tensor:
        """See `Targets`."""
        found = x[self.rows, self.columns] * self.values
        return self.values.new_zeros(self.size[0]).index_add_(0, self.rows, found)

    def subtract_from(self, x: Tensor, scale: Tensor) -> None:
        """See `Targets`."""
        x[self.rows, self.columns] -= scale[self.rows] * self.values

    def matmul(self, y: Tensor) -> Tensor:
        """See `Targets`."""
        return self._matrix() @ y

    def scatter_add(self, y: Tensor, out: Tensor) -> None:
        """See `Targets`."""
        out += self._matrix().T @ y

    def clear_positives(self, mask: Tensor) -> None:
        """See `Targets`."""
        mask[self.rows, self.columns] = False

    def to_dense(self) -> Tensor:
        """See `Targets`."""
        return self._matrix().to_dense()

    def _matrix(self) -> Tensor:
        return torch.sparse_coo_tensor(
            torch.stack([self.rows, self.columns]), self.values, self.size, check_invariants=False
        )

"""Targets of which few entries are not zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.blocks import Targets

if TYPE_CHECKING:
    from jaxtyping import Float, Int


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

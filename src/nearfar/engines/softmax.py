"""The elementwise work on a block of x between its matrix products, in plain torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


#: Bytes of a slice of rows. It stays in a core's cache from one sweep to the next, where a block would not.
SLICE_BYTES = 1 << 20


class Softmax:
    """Elementwise work on blocks of x = S / temperature + F. Entries, rows and columns may be -inf.

    Where `reach` is given, |x_ij| <= reach or x_ij = -inf: for cosines over a usual temperature nothing overflows or
    vanishes, and sweeps are saved.
    """

    def exponentiate(
        self, x: Float[Tensor, "b m"], keep: bool = True, reach: float = math.inf
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """x becomes exp(x - top) in place; returns its row sums z, and top, so that logsumexp is top + log z.

        A row that is -inf throughout gives z = 0. With `keep` false, x need not be written.
        """
        z, top = x.new_empty(len(x)), x.new_zeros(len(x))
        bounded = never_overflows(x, reach)
        for rows in _slices(x):
            part = x[rows]
            if not bounded:
                torch.amax(part, 1, out=top[rows]).clamp_(min=torch.finfo(x.dtype).min)
                part.sub_(top[rows][:, None])
            torch.sum(part.exp_(), 1, out=z[rows])
        return z, top

    def logsumexps(
        self, x: Float[Tensor, "b m"], reach: float = math.inf
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " m"]]:
        """The logsumexp of every row and of every column. x is overwritten."""
        if never_overflows(x, reach):
            rows_z, columns_z = x.new_empty(len(x)), x.new_zeros(x.shape[1])
            for rows in _slices(x):
                part = x[rows].exp_()
                torch.sum(part, 1, out=rows_z[rows])
                columns_z += part.sum(0)
            return rows_z.log_(), columns_z.log_()
        top = x.amax(0).clamp_(min=torch.finfo(x.dtype).min)
        columns = torch.zeros_like(top)
        for rows in _slices(x):
            columns += torch.sub(x[rows], top).exp_().sum(0)
        z, row_top = self.exponentiate(x)
        return row_top + z.log(), columns.log_().add_(top)

    def exponentiate_both(
        self,
        x: Float[Tensor, "b m"],
        row_shift: Float[Tensor, " b"],
        column_shift: Float[Tensor, " m"],
        reach: float = math.inf,
    ) -> None:
        """x becomes exp(x + row_shift) + exp(x + column_shift) in place. Shifts may be -inf."""
        if never_overflows(x, reach):
            by_row, by_column = row_shift.exp(), column_shift.exp()
            for rows in _slices(x):
                x[rows].exp_().mul_(by_row[rows][:, None] + by_column)
            return
        for rows in _slices(x):
            part = x[rows]
            by_columns = torch.add(part, column_shift).exp_()
            part.add_(row_shift[rows][:, None]).exp_().add_(by_columns)


def never_overflows(x: Float[Tensor, "b m"], reach: float) -> bool:
    """exp(x) and its sums over rows neither overflow nor vanish, where |x_ij| <= reach or x_ij = -inf."""
    limits = torch.finfo(x.dtype)
    return reach + math.log(max(x.shape)) < math.log(limits.max) - 1 and reach < -math.log(limits.tiny)


def _slices(x: Float[Tensor, "b m"]) -> Iterator[slice]:
    """Rows in slices that a CPU's cache holds; all at once elsewhere."""
    size = max(1, SLICE_BYTES // (x.shape[1] * x.element_size())) if x.device.type == "cpu" else len(x)
    return (slice(start, start + size) for start in range(0, len(x), size))

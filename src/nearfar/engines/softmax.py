"""What streaming does to a block of x between its matrix products, in plain torch: a few passes over the block each."""

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
    """Elementwise work on blocks of x = S / temperature + F. Entries, rows and columns may be -inf."""

    def exponentiate(
        self, x: Float[Tensor, "b m"], keep: bool = True, reach: float = math.inf
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """x becomes exp(x - top) in place; its row sums z and top, so that logsumexp is top + log z.

        A row that is -inf throughout gives z = 0. With `keep` false, what x becomes is of no interest. No entry lies
        above `reach`, and below -`reach` only -inf.
        """
        limits = torch.finfo(x.dtype)
        # Cosines over a usual temperature: nothing overflows or vanishes, so two sweeps are saved.
        bounded = reach + math.log(x.shape[1]) < math.log(limits.max) - 1 and reach < -math.log(limits.tiny)
        z, top = x.new_empty(len(x)), x.new_zeros(len(x))
        for rows in _slices(x):
            part = x[rows]
            if not bounded:
                torch.amax(part, 1, out=top[rows]).clamp_(min=limits.min)
                part.sub_(top[rows][:, None])
            torch.sum(part.exp_(), 1, out=z[rows])
        return z, top

    def logsumexps(self, x: Float[Tensor, "b m"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " m"]]:
        """The logsumexp of every row and of every column. x is spent."""
        top = x.amax(0).clamp_(min=torch.finfo(x.dtype).min)
        columns = torch.zeros_like(top)
        for rows in _slices(x):
            columns += torch.sub(x[rows], top).exp_().sum(0)
        z, row_top = self.exponentiate(x)
        return row_top + z.log(), columns.log_().add_(top)

    def exponentiate_both(
        self, x: Float[Tensor, "b m"], row_shift: Float[Tensor, " b"], column_shift: Float[Tensor, " m"]
    ) -> None:
        """x becomes exp(x + row_shift) + exp(x + column_shift) in place. Shifts may be -inf."""
        for rows in _slices(x):
            part = x[rows]
            by_columns = torch.add(part, column_shift).exp_()
            part.add_(row_shift[rows][:, None]).exp_().add_(by_columns)


def _slices(x: Float[Tensor, "b m"]) -> Iterator[slice]:
    """Rows in slices that a CPU's cache holds; all at once elsewhere."""
    size = max(1, SLICE_BYTES // (x.shape[1] * x.element_size())) if x.device.type == "cpu" else len(x)
    return (slice(start, start + size) for start in range(0, len(x), size))

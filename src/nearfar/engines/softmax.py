"""What streaming does to a block of x between its matrix products, in plain torch: a few passes over the block each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float


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
        if reach + math.log(x.shape[1]) < math.log(limits.max) - 1 and reach < -math.log(limits.tiny):
            # Cosines over a usual temperature: nothing overflows or vanishes, so two sweeps are saved.
            x.exp_()
            return x.sum(1), x.new_zeros(len(x))
        top = x.amax(1).clamp_(min=torch.finfo(x.dtype).min)
        x.sub_(top[:, None]).exp_()
        return x.sum(1), top

    def logsumexps(self, x: Float[Tensor, "b m"]) -> tuple[Float[Tensor, " b"], Float[Tensor, " m"]]:
        """The logsumexp of every row and of every column. x is spent."""
        top = x.amax(0).clamp_(min=torch.finfo(x.dtype).min)
        columns = torch.sub(x, top).exp_().sum(0).log_().add_(top)
        z, top = self.exponentiate(x)
        return top + z.log(), columns

    def exponentiate_both(
        self, x: Float[Tensor, "b m"], row_shift: Float[Tensor, " b"], column_shift: Float[Tensor, " m"]
    ) -> None:
        """x becomes exp(x + row_shift) + exp(x + column_shift) in place. Shifts may be -inf."""
        by_columns = torch.add(x, column_shift).exp_()
        x.add_(row_shift[:, None]).exp_().add_(by_columns)

"""The reference engine: the definition, with gradients by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from nearfar.engines.problem import Engine, Problem


class Dense(Engine):
    """Computes S as a whole: O(n m) memory, derivatives of any order."""

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`."""
        s = problem.anchors @ problem.candidates.T / problem.temperature
        every_row = slice(0, len(s))
        targets = problem.near.at(every_row)
        weights, p = targets.row_sums(), targets.to_dense()

        x = s
        if problem.far is not None:
            f = s.detach().clone()
            problem.far.add_to(f, every_row, targets, float(problem.temperature.detach()))
            x = s + (f - s.detach())
        numerator = s if problem.positives is None else problem.anchors @ problem.positives.T / problem.temperature
        # A row without positives may also have an empty denominator: keep its -inf out of the gradient.
        x = torch.where((weights > 0)[:, None], x, 0)
        losses = weights * torch.logsumexp(x, 1) - (p * numerator).sum(1)
        return torch.where(weights > 0, losses, 0), weights

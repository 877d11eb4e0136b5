"""The reference engine: the definition, written to be read in a minute, with gradients by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from nearfar.engines.problem import Engine, Problem


class Dense(Engine):
    """Holds S as a whole: O(n m) memory, any order of derivative."""

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`."""
        s = problem.anchors @ problem.candidates.T / problem.temperature
        every_row = slice(0, len(s))
        pull = problem.near.at(every_row)
        weights, p = pull.total(), pull.dense()

        x = s
        if problem.far is not None:
            f = s.detach().clone()
            problem.far.add_to(f, every_row, pull, float(problem.temperature.detach()))
            x = s + (f - s.detach())
        numerator = s if problem.positives is None else problem.anchors @ problem.positives.T / problem.temperature
        # A row that pulls nothing may also have nothing left in its denominator: keep its -inf out of the gradient.
        x = torch.where((weights > 0)[:, None], x, 0)
        losses = weights * torch.logsumexp(x, 1) - (p * numerator).sum(1)
        return torch.where(weights > 0, losses, 0), weights

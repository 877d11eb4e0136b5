"""The limit of the loss at infinite temperature, where the softmax becomes a mean: another loss, as an engine."""

from __future__ import annotations

import torch
from torch import Tensor

from nearfar.engines.problem import Engine, Problem


class Linear(Engine):
    """The loss that `contrast` tends to as the temperature grows, times the temperature, minus its constant.

        loss_i = sum_j P_ij ( sum_k w_ik S_ik - S_ij ),   w_i = softmax over k of F_ik

    Every candidate that F keeps is pushed away equally, however similar it is. The temperature is not used. For
    `near.paired()` and `far.except_self()` this is -s_ii + mean of s_ik over k != i. O(n m) memory, derivatives of any
    order.

    Source: Wang & Liu 2021, Understanding the Behaviour of Contrastive Loss (its simple loss, lambda = 1 / negatives).

    Example:
        >>> loss = contrast(a, b, far=far.except_self() + far.hardest(0.1), engine=Linear())  # doctest: +SKIP
    """

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`."""
        s = problem.anchors @ problem.candidates.T
        every_row = slice(0, len(s))
        targets = problem.near.at(every_row)
        weights, f = targets.row_sums(), torch.zeros_like(s)
        if problem.far is not None:
            x = s.detach().clone()
            problem.far.add_to(x, every_row, targets, 1.0)
            f = x - s.detach()
        # A row without positives may also have an empty mean.
        w = torch.where((weights > 0)[:, None], f, 0).softmax(1)
        numerator = s if problem.positives is None else problem.anchors @ problem.positives.T
        losses = weights * (w * s).sum(1) - (targets.to_dense() * numerator).sum(1)
        return torch.where(weights > 0, losses, 0), weights

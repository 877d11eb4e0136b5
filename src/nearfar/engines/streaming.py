"""The streaming engine: walks over blocks of S and never has an n x m matrix.

A block of S is computed, exponentiated in place, used for the gradient products and overwritten by the next one, so
memory stays O((n + m) d) and time stays close to that of the matrix products themselves.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from nearfar.engines import both_ways, one_way, symmetric
from nearfar.engines.gradients import Gradients, InOnePass, first_order, wants
from nearfar.engines.problem import Engine, Problem, Reduction, reduced
from nearfar.engines.softmax import Softmax


class Streaming(Engine):
    """O((n + m) d) memory; first derivatives only.

    A problem costs one pass and three matrix products. The symmetric loss takes two passes and four products; a
    symmetric problem (see `Problem.symmetric`) two passes over half of S, and at most two products.

    Args:
        block_rows: Rows in a block; None chooses by size and device.
        softmax: The elementwise work on a block between its matrix products.
    """

    def __init__(self, block_rows: int | None = None, softmax: Softmax = Softmax()) -> None:  # noqa: B008 - no state
        self.block_rows, self.softmax = block_rows, softmax

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`. Gradients need the weights of the losses, so the backward pass computes S once more."""
        return _Rows.apply(problem, self, *problem.tensors())  # type: ignore[return-value]

    def total(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.total`."""
        wanted = wants(problem)
        if problem.symmetric:
            # One gradient for both sides: it belongs to the anchors, and none to the candidates.
            wanted = (wanted[0], False, *wanted[2:])
        walk = self._symmetric_walk if problem.symmetric else self._total_walk
        return InOnePass.apply(walk, problem, wanted, *problem.tensors())  # type: ignore[return-value]

    def both_ways(self, problem: Problem, reduction: Reduction) -> Tensor:
        """See `Engine.both_ways`."""
        if problem.positives is not None or (problem.far is not None and not problem.far.mirrors):
            return super().both_ways(problem, reduction)
        problem.transposed().bound()  # for its checks
        bound = problem.bound()
        if bound.symmetric:  # the directions are the same
            return reduced(*self.total(bound), reduction)
        if bound.near.over_columns() is None:
            return super().both_ways(problem, reduction)
        walk = partial(self._both_ways_walk, reduction=reduction)
        return InOnePass.apply(walk, bound, wants(bound), *bound.tensors())[0]  # type: ignore[index]

    def _total_walk(self, problem: Problem, gradients: Gradients | None) -> tuple[Tensor, Tensor]:
        losses, weights = one_way.walk(problem, self.block_rows, self.softmax, gradients)
        return losses.sum(), weights

    def _symmetric_walk(self, problem: Problem, gradients: Gradients | None) -> tuple[Tensor, Tensor]:
        return symmetric.walk(problem, self.block_rows, self.softmax, gradients)

    def _both_ways_walk(self, problem: Problem, gradients: Gradients | None, reduction: str) -> tuple[Tensor, Tensor]:
        return both_ways.walk(problem, self.block_rows, self.softmax, gradients, reduction)


class _Rows(Function):
    @staticmethod
    def forward(ctx: Any, problem: Problem, engine: Streaming, *tensors: Tensor | None):
        problem = problem.with_tensors(tensors)
        losses, weights = one_way.walk(problem, engine.block_rows, engine.softmax, None)
        ctx.mark_non_differentiable(weights)
        ctx.problem, ctx.engine = problem, engine
        ctx.save_for_backward(*tensors)
        return losses, weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor):  # type: ignore[override]
        # A backward pass inside an autocast region would lower the products here.
        with torch.no_grad(), torch.autocast(upstream.device.type, enabled=False):
            problem = ctx.problem.with_tensors(ctx.saved_tensors)
            wanted = ctx.needs_input_grad[2:]
            gradients = Gradients.blank(problem, wanted)
            one_way.walk(problem, ctx.engine.block_rows, ctx.engine.softmax, gradients, upstream)
        return None, None, *first_order(ctx, gradients.take(wanted))

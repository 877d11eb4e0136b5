"""One global batch over several processes: each has its own anchors, and the candidates of all (see `blocks.Shard`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import Function

from nearfar.blocks import Shard, sum_over
from nearfar.engines.problem import Engine, Problem

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Sharded(Engine):
    """Runs another engine on the rows of this process; values are those of the whole batch, in every process."""

    def __init__(self, engine: Engine, group: ProcessGroup) -> None:
        self.engine, self.group = engine, group

    def ready(self, problem: Problem) -> Problem:
        """The rows of this process against the candidates of all; bound afterwards, because shard shapes differ."""
        shard = Shard.of(*problem.shape, problem.anchors.device, self.group)
        return replace(
            problem,
            candidates=shard.gather(problem.candidates),
            positives=None if problem.positives is None else shard.gather(problem.positives),
            temperature=_Replicated.apply(problem.temperature, self.group),
            near=problem.near.sharded(shard),
            far=None if problem.far is None else problem.far.sharded(shard),
        ).bound()

    def rows(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.rows`; the rows of this process."""
        return self.engine.rows(problem)

    def total(self, problem: Problem) -> tuple[Tensor, Tensor]:
        """See `Engine.total`; the sum over all processes, and the weights of all."""
        total, weights = self.engine.total(problem)
        # The caller only needs the number of positive weights.
        active = torch.ones(int(sum_over((weights > 0).sum(), self.group)), device=weights.device, dtype=weights.dtype)
        return _SumOverProcesses.apply(total, self.group), active  # type: ignore[return-value]


class _SumOverProcesses(Function):
    """Every process returns the same loss; its backward pass gives the gradient of its own part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:
        return sum_over(x, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor):  # type: ignore[override]
        return gradient, None


class _Replicated(Function):
    """A value that all processes share: its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor):  # type: ignore[override]
        return sum_over(gradient, ctx.group), None

"""One global batch over several processes: every process has its own anchors and sees the candidates of all.

The global batch is ordered as one process would hold it: the anchors of all processes, rank by rank; the candidates
that belong to them in the same order; then the extra candidates of all. Shards may be of different sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from nearfar.engines.problem import Engine, Problem

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@dataclass(frozen=True)
class Shard:
    """What this process holds of a global batch."""

    group: ProcessGroup
    device: torch.device
    rows: int
    pairs: int
    offset: int
    all_rows: tuple[int, ...]
    all_pairs: tuple[int, ...]
    all_candidates: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, group: ProcessGroup) -> Shard:
        """Agree on the sizes of all shards."""
        rows, candidates = problem.shape
        pairs = min(rows, candidates)
        mine = torch.tensor([rows, pairs, candidates], device=problem.anchors.device)
        everyone = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
        dist.all_gather(everyone, mine, group=group)
        all_rows, all_pairs, all_candidates = (tuple(int(sizes[k]) for sizes in everyone) for k in range(3))
        offset = sum(all_pairs[: dist.get_rank(group)])
        return cls(group, mine.device, rows, pairs, offset, all_rows, all_pairs, all_candidates)

    def gather(self, x: Tensor) -> Tensor:
        """What belongs to this process's candidates, from all processes in global order. The gradient finds its way."""
        mine = self.all_candidates[dist.get_rank(self.group)]
        if len(x) != mine:
            raise ValueError(f"expected a row for each of the {mine} candidates of this process, got {len(x)}")
        return _Gather.apply(x.to(self.device), self)  # type: ignore[return-value]

    def order(self) -> list[tuple[int, slice]]:
        """Where the pieces of the global order come from: (rank, rows)."""
        sizes = list(zip(self.all_pairs, self.all_candidates, strict=True))
        first = [(rank, slice(0, pairs)) for rank, (pairs, _) in enumerate(sizes)]
        extra = [(rank, slice(pairs, candidates)) for rank, (pairs, candidates) in enumerate(sizes)]
        return first + extra


class Sharded(Engine):
    """Runs another engine on this process's rows; values are those of the whole batch, in every process."""

    def __init__(self, engine: Engine, group: ProcessGroup) -> None:
        self.engine, self.group = engine, group

    def ready(self, problem: Problem) -> Problem:
        """This process's rows against the candidates of all. Bound only then: a shard alone has other shapes."""
        shard = Shard.of(problem, self.group)
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
        # The sum of the counts is all that the caller takes from the weights.
        active = torch.ones(int(_sum((weights > 0).sum(), self.group)), device=weights.device, dtype=weights.dtype)
        return _SumOverProcesses.apply(total, self.group), active  # type: ignore[return-value]


class _Gather(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shard: Shard) -> Tensor:
        ctx.shard = shard
        longest = max(shard.all_candidates)
        padded = F.pad(x, [0, 0] * (x.ndim - 1) + [0, longest - len(x)]).contiguous()
        pieces = [torch.empty_like(padded) for _ in shard.all_candidates]
        dist.all_gather(pieces, padded, group=shard.group)
        return torch.cat([pieces[rank][rows] for rank, rows in shard.order()])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor):  # type: ignore[override]
        shard: Shard = ctx.shard
        gradient = _sum(gradient, shard.group)
        rank, start, mine = dist.get_rank(shard.group), 0, []
        for owner, rows in shard.order():
            size = rows.stop - rows.start
            if owner == rank:
                mine.append(gradient[start : start + size])
            start += size
        return torch.cat(mine), None


class _SumOverProcesses(Function):
    """Every process returns the same loss; each one's backward pass sends out its own part of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: ProcessGroup) -> Tensor:
        return _sum(x, group)

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
        return _sum(gradient, ctx.group), None


def _sum(x: Tensor, group: ProcessGroup) -> Tensor:
    x = x.contiguous().clone()
    dist.all_reduce(x, group=group)
    return x

"""The part of a global batch that one process has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@dataclass(frozen=True)
class Shard:
    """The part of a global batch that one process has.

    The global batch is in the order in which one process would have it: the anchors of all processes, rank by rank; the
    candidates that belong to them, in the same order; then the extra candidates of all. Shards may differ in size.
    """

    group: ProcessGroup
    device: torch.device
    rows: int
    pairs: int
    offset: int
    all_rows: tuple[int, ...]
    all_pairs: tuple[int, ...]
    all_candidates: tuple[int, ...]

    @classmethod
    def of(cls, anchors: int, candidates: int, device: torch.device, group: ProcessGroup) -> Shard:
        """Exchange the sizes of all shards."""
        pairs = min(anchors, candidates)
        mine = torch.tensor([anchors, pairs, candidates], device=device)
        everyone = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
        dist.all_gather(everyone, mine, group=group)
        all_rows, all_pairs, all_candidates = (tuple(int(sizes[k]) for sizes in everyone) for k in range(3))
        offset = sum(all_pairs[: dist.get_rank(group)])
        return cls(group, mine.device, anchors, pairs, offset, all_rows, all_pairs, all_candidates)

    @property
    def candidates(self) -> int:
        """The number of candidates of this process."""
        return self.all_candidates[dist.get_rank(self.group)]

    def gather(self, x: Tensor) -> Tensor:
        """One row for each candidate of this process, from all processes in global order. Gradients flow back."""
        if len(x) != self.candidates:
            raise ValueError(f"expected {self.candidates} rows, one for each candidate of this process, got {len(x)}")
        return _Gather.apply(x.to(self.device), self)  # type: ignore[return-value]

    def order(self) -> list[tuple[int, slice]]:
        """The pieces that the global order consists of: (rank, rows)."""
        sizes = list(zip(self.all_pairs, self.all_candidates, strict=True))
        first = [(rank, slice(0, pairs)) for rank, (pairs, _) in enumerate(sizes)]
        extra = [(rank, slice(pairs, candidates)) for rank, (pairs, candidates) in enumerate(sizes)]
        return first + extra


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
        gradient = sum_over(gradient, shard.group)
        rank, start, mine = dist.get_rank(shard.group), 0, []
        for owner, rows in shard.order():
            size = rows.stop - rows.start
            if owner == rank:
                mine.append(gradient[start : start + size])
            start += size
        return torch.cat(mine), None


def sum_over(x: Tensor, group: ProcessGroup) -> Tensor:
    """The sum of x over all processes, as a new tensor without gradient."""
    x = x.contiguous().clone()
    dist.all_reduce(x, group=group)
    return x

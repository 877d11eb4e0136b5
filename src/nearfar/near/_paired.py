"""Targets of pairs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nearfar.blocks import DiagonalTargets, Near, Shard, Targets


def paired() -> Near:
    """Candidate i belongs to anchor i; candidates after the first n are extra negatives.

    The targets of InfoNCE, CLIP and in-batch negatives.
    """
    return _Paired()


@dataclass(frozen=True)
class _Paired(Near):
    lean = True
    symmetric = True

    offset: int = 0
    pairs: int | None = None
    turned: bool = False  # transposed: rows after the pairs are extra candidates
    shape: tuple[int, int] = (0, 0)
    like: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        if m < n and not self.turned:
            raise ValueError(
                f"near.paired() requires a candidate for every anchor: got {n} anchors and {m} candidates; "
                "pass at least as many candidates as anchors, the i-th belonging to anchor i"
            )
        return replace(self, pairs=min(n, m) if self.pairs is None else self.pairs, shape=(n, m), like=like)

    def at(self, rows: slice) -> Targets:
        return self._block(rows, 0)

    def corner(self, rows: slice) -> Targets:
        return self._block(rows, rows.start)

    def _block(self, rows: slice, first: int) -> Targets:
        assert self.pairs is not None
        count = max(0, min(rows.stop, self.pairs) - rows.start)
        start = self.offset + rows.start - first
        return DiagonalTargets(start, count, rows.stop - rows.start, self.shape[1] - first, self.like)

    def transposed(self) -> Near:
        return replace(self, turned=not self.turned)

    def over_columns(self) -> Near:
        return self

    def sharded(self, shard: Shard) -> Near:
        for rank, (rows, pairs) in enumerate(zip(shard.all_rows, shard.all_pairs, strict=True)):
            if rows > pairs and not self.turned:
                raise ValueError(
                    f"near.paired() requires a candidate for every anchor: process {rank} has {rows} anchors "
                    f"and {pairs} candidates"
                )
        return replace(self, offset=shard.offset, pairs=shard.pairs, turned=True)

"""Targets that are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.blocks import DenseTargets, Near, Shard, Targets

if TYPE_CHECKING:
    from jaxtyping import Float


def weights(p: Float[Tensor, "n m"]) -> Near:
    """An explicit matrix of weights, used unchanged: rows are not normalised. No gradient reaches it.

    With `group`, pass the rows of this process against the candidates of the whole batch.
    """
    if p.ndim != 2:
        raise ValueError(f"invalid weights: must be a matrix (n, m), got shape {tuple(p.shape)}")
    p = p.detach()
    if not bool((p >= 0).all()) or not bool(torch.isfinite(p).all()):
        raise ValueError("invalid weights: must be finite and >= 0")
    return _Weights(p)


@dataclass(frozen=True)
class _Weights(Near):
    p: Tensor

    def bind(self, n: int, m: int, like: Tensor) -> Near:
        if self.p.shape != (n, m):
            raise ValueError(f"near.weights(): expected shape {(n, m)}, got {tuple(self.p.shape)}")
        return replace(self, p=self.p.to(like.device, like.dtype))

    def at(self, rows: slice) -> Targets:
        return DenseTargets(self.p[rows])

    def transposed(self) -> Near:
        return replace(self, p=self.p.T)

    def over_columns(self) -> Near:
        return self

    def sharded(self, shard: Shard) -> Near:
        return self

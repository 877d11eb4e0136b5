"""Log-weights that are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.blocks import Far, Shard, Targets

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


def masked(mask: Bool[Tensor, "n m"]) -> Far:
    """Candidates for which `mask` is true are removed from the denominator.

    With `group`, pass the rows of this process against the candidates of the whole batch.
    """
    if mask.dtype != torch.bool or mask.ndim != 2:
        raise ValueError(
            f"far.masked(): expected a boolean matrix (n, m), got {mask.dtype} of shape {tuple(mask.shape)}"
        )
    f = torch.zeros(mask.shape, device=mask.device).masked_fill_(mask, -torch.inf)
    return _Added(f, "masked", only_masks=True)


def weighted(w: Float[Tensor, "n m"] | Float[Tensor, " m"]) -> Far:
    """Candidate j counts w_ij >= 0 times in the denominator of anchor i; or w_j times in every one, in O(m) memory.

    No gradient reaches w. With `group`, pass the rows of this process against the candidates of the whole batch; or the
    weights (m,) of the candidates of this process.
    """
    if w.ndim not in (1, 2) or not bool((w >= 0).all()) or not bool(torch.isfinite(w).all()):
        raise ValueError(
            "invalid w of far.weighted(): must be finite and >= 0, and a matrix (n, m) or a vector (m,), "
            f"got shape {tuple(w.shape)}"
        )
    f = w.detach().log()
    return _Added(f, "weighted") if w.ndim == 2 else _AddedToColumns(f)


@dataclass(frozen=True)
class _Added(Far):
    f: Float[Tensor, "n m"]
    name: str
    only_masks: bool = False

    lean = True

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        if self.f.shape != (n, m):
            raise ValueError(f"far.{self.name}(): expected shape {(n, m)}, got {tuple(self.f.shape)}")
        return replace(self, f=self.f.to(like.device, like.dtype))

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        x += self.f[rows]

    def transposed(self) -> Far:
        return replace(self, f=self.f.T)

    def sharded(self, shard: Shard) -> Far:
        return self


@dataclass(frozen=True)
class _AddedToColumns(Far):
    f: Float[Tensor, " m"]
    turned: bool = False  # transposed: F_ij = f_i

    lean = True

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        size = n if self.turned else m
        if len(self.f) != size:
            raise ValueError(f"far.weighted(): expected {size} weights, one for each candidate, got {len(self.f)}")
        return replace(self, f=self.f.to(like.device, like.dtype))

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        x += self.f[rows, None] if self.turned else self.f

    def transposed(self) -> Far:
        return replace(self, turned=not self.turned)

    def sharded(self, shard: Shard) -> Far:
        return self if self.turned else replace(self, f=shard.gather(self.f))

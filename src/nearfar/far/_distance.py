"""Log-weights from the distances of a second pair of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.blocks import Far, Shard, Targets
from nearfar.far._vectors import check_sizes, check_vectors

if TYPE_CHECKING:
    from jaxtyping import Float


def by_distance(a: Float[Tensor, "n k"], b: Float[Tensor, "m k"], temperature: float) -> Far:
    """Candidate j counts exp(-|a_i - b_j|^2 / (2 temperature)) times: a Gaussian kernel of a second pair of vectors.

    Gradients reach a and b. With `near.paired()` and unit vectors on both sides of `contrast`,

        contrast(c, c, far=by_distance(u, u, tau), temperature=tau)

    is the mean over i of log sum_j exp(-(|c_i - c_j|^2 + |u_i - u_j|^2) / (2 tau)): a kernel estimate of the joint
    entropy of c and u, self included, up to its sign and the constant log n.

    Args:
        a: Second vectors of the anchors; nothing is normalised.
        b: Second vectors of the candidates, in the same space as `a`.
        temperature: Squared width of the kernel, > 0; independent of the temperature of the loss.

    Source: Louiset et al. 2024, Separating common from salient patterns with Contrastive Representation Learning
    (k-JEM).
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"invalid temperature of far.by_distance(): must be > 0, got {temperature}")
    check_vectors(a, b, "by_distance")
    return _ByDistance(a, b, float(temperature), symmetric=a is b)


@dataclass(frozen=True)
class _ByDistance(Far):
    a: Tensor
    b: Tensor
    temperature: float
    symmetric: bool = False

    lean = True

    def bind(self, n: int, m: int, like: Tensor) -> Far:
        check_sizes(self.a, self.b, n, m, "by_distance")
        a, b = (x.to(like.device, like.dtype) for x in (self.a, self.b))
        return replace(self, a=a, b=b)

    def add_to(self, x: Tensor, rows: slice, targets: Targets, temperature: float) -> None:
        # -|a - b|^2 / 2t = (a.b - |a|^2 / 2 - |b|^2 / 2) / t
        a, t = self.a[rows], self.temperature
        x.addmm_(a, self.b.T, alpha=1 / t)
        x -= torch.linalg.vecdot(a, a)[:, None] / (2 * t)
        x -= torch.linalg.vecdot(self.b, self.b) / (2 * t)

    def inputs(self) -> tuple[Tensor, ...]:
        return self.a, self.b

    def with_inputs(self, inputs: Sequence[Tensor]) -> Far:
        a, b = inputs
        return replace(self, a=a, b=b)

    def backward(self, g: Tensor, scale: Tensor, rows: slice, out: Sequence[Tensor | None]) -> None:
        # dF_ij / da_i = (b_j - a_i) / t and dF_ij / db_j = (a_i - b_j) / t
        a, (da, db) = self.a[rows], out
        if da is not None:
            pulled = torch.addmm(a * g.sum(1)[:, None], g, self.b, beta=-1)
            da[rows] += pulled * (scale / self.temperature)[:, None]
        scale = scale / self.temperature
        if db is not None:
            db.addmm_(g.T, a * scale[:, None])
            db -= self.b * (scale @ g)[:, None]

    def transposed(self) -> Far:
        return replace(self, a=self.b, b=self.a)

    def corner(self, start: int) -> Far:
        return replace(self, a=self.a[start:], b=self.b[start:])

    def sharded(self, shard: Shard) -> Far:
        return replace(self, b=shard.gather(self.b))

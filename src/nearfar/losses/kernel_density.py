"""Gaussian kernels over the points of a batch: how far they spread, and how densely two codes of each row lie.

    spread(u)                 log of the mean of exp(-|u_i - u_j|^2 / (2 tau)) over i != j
    joint_density(c, u)       mean over i of the log of the mean over j, i included, of
                              exp(-(|c_i - c_j|^2 + |u_i - u_j|^2) / (2 tau))

Both are at most 0 and minimised to spread points. Vectors `u` are used unchanged, so that the origin means something;
rows of `c` are normalised to length 1, where `nearfar.losses.hypersphere.uniformity` with t = 1 / (2 tau) is the same
as `spread`. Each is one call of the kernel: a logsumexp of similarities, weighted by `far.by_distance`.

Source: Louiset, Duchesnay, Grigis, Gori 2024, Separating common from salient patterns with Contrastive Representation
Learning (joint_density is the negative of its k-JEM entropy).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nearfar import far
from nearfar.contrast import contrast

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

__all__ = ["joint_density", "spread"]


def spread(u: Float[Tensor, "n k"], temperature: float = 0.5) -> Float[Tensor, ""]:
    """One logarithm of the mean over all pairs i != j: 0 if all points are equal.

    Args:
        u: At least two points; not normalised.
        temperature: tau, the squared width of the kernel.

    Raises:
        ValueError: Only one point, or tau is not positive.
    """
    if len(u) < 2:
        raise ValueError(f"expected at least two points, got {len(u)}")
    nowhere = u.new_zeros(len(u), 1)
    # All similarities are 0 and there are no positives: the loss of an anchor is the logsumexp of F.
    rows = contrast(
        nowhere,
        nowhere,
        far=far.except_self() + far.by_distance(u, u, temperature),
        positives=nowhere,
        temperature=1.0,
        similarity="dot",
        reduction="none",
    )
    return rows.logsumexp(0) - math.log(len(u)) - math.log(len(u) - 1)


def joint_density(c: Float[Tensor, "n d"], u: Float[Tensor, "n k"], temperature: float = 0.5) -> Float[Tensor, ""]:
    """The mean of the log-density of each row (c_i, u_i): -log n to 0, and 0 if all rows are equal.

    Args:
        c: Vectors, normalised to length 1 here.
        u: Points; not normalised. Gradients reach both.
        temperature: tau, the squared width of the kernel.
    """
    found = contrast(c, c, far=far.by_distance(u, u, temperature), temperature=temperature)
    return found - math.log(len(c))

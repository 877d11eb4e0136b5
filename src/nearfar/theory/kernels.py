"""Predictive-similarity kernels: how similar the next-token laws of two contexts are.

Each takes the laws of n contexts and gives a symmetric, positive semi-definite matrix (n, n) in float64. A block of the
vocabulary is in memory at a time. Source: Zhang 2025 (arXiv 2507.19247, version 2); `chi` is the kernel for which a
low-rank model of weak dependence is exact, see `nearfar.losses.spectral`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.theory.laws import Laws, as_laws

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float

    AnyLaws = Laws | Float[Tensor, "n v"]

#: Numbers of a block of pairs of laws.
_PAIRS = 2**22

__all__ = ["bhattacharyya", "chi", "hellinger", "jensen_shannon", "linear", "prototype"]


@torch.no_grad()
def bhattacharyya(laws: AnyLaws) -> Float[Tensor, "n n"]:
    """BC = sum_w sqrt(p(w) p'(w)): 1 for equal laws, 0 where no token is possible under both."""
    return _gram(laws, lambda part, p: p.sqrt_())


@torch.no_grad()
def hellinger(laws: AnyLaws, beta: float = 1.0) -> Float[Tensor, "n n"]:
    """exp(-beta d^2) with Hellinger's squared distance d^2 = 2 (1 - BC)."""
    return (-2 * beta * (1 - bhattacharyya(laws))).exp()


@torch.no_grad()
def linear(laws: AnyLaws) -> Float[Tensor, "n n"]:
    """<p, p'>: the probability that draws from both laws are the same token."""
    return _gram(laws, lambda part, p: p)


@torch.no_grad()
def chi(laws: AnyLaws, weights: Float[Tensor, " n"] | None = None) -> Float[Tensor, "n n"]:
    """sum_w p(w) p'(w) / pi(w) - 1, where pi is the mean law.

    Args:
        laws: Next-token laws, or a matrix of probabilities.
        weights: The weight of each context in the mean law; they sum to 1. None: equal weights.
    """
    laws = as_laws(laws)
    pi = laws.mean(weights)
    # A token that is impossible under the mean law is impossible under all.
    return _gram(laws, lambda part, p: p * torch.where(pi[part] > 0, pi[part].rsqrt(), 0.0).to(p)) - 1


@torch.no_grad()
def prototype(laws: AnyLaws, head: Float[Tensor, "v d"]) -> Float[Tensor, "n n"]:
    """<g, g'> with g = sum_w p(w) W_w, the output embedding that a law expects."""
    expected: Tensor | float = 0.0
    for part, p in as_laws(laws).blocks():
        expected = expected + p @ head[part].to(p)
    assert isinstance(expected, Tensor)
    return expected.double() @ expected.double().T


@torch.no_grad()
def jensen_shannon(laws: AnyLaws, beta: float = 1.0) -> Float[Tensor, "n n"]:
    """exp(-beta JS(p, p')), with the Jensen-Shannon divergence in nats.

    All pairs are compared token by token: n^2 v logarithms, where the other kernels are matrix products.
    """
    laws = as_laws(laws)
    n = laws.shape[0]
    mixed: Tensor | None = None
    for _, p in laws.blocks():
        mixed = p.new_zeros(n, n, dtype=torch.float64) if mixed is None else mixed
        width = max(1, _PAIRS // n)
        for columns in p.split(width, dim=1):
            rows = max(1, _PAIRS // (n * columns.shape[1]))
            for start in range(0, n, rows):
                halves = (columns[start : start + rows, None] + columns[None]) / 2
                mixed[start : start + rows] += torch.special.entr(halves).sum(-1, dtype=torch.float64)
    assert mixed is not None
    own = mixed.diagonal().clone()
    return (-beta * (mixed - (own[:, None] + own[None]) / 2)).exp()


def _gram(laws: AnyLaws, feature: Callable[[slice, Tensor], Tensor]) -> Float[Tensor, "n n"]:
    """Sum over the vocabulary of f(p) f(p)^T."""
    total: Tensor | float = 0.0
    for part, p in as_laws(laws).blocks():
        x = feature(part, p)
        total = total + (x @ x.T).double()
    assert isinstance(total, Tensor)
    return total

"""How much two spaces know in common: an estimate of the mutual information of two vectors of each item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.geometry._rows import blocks, vectors

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.geometry._rows import Vectors

#: Items that are left out in turn, for `Leakage.explained`; and the penalty of its ridge regression per item.
FOLDS, PENALTY = 5, 0.01
#: Minimum number of items.
LEAST_ITEMS = 2 * FOLDS


@dataclass(frozen=True)
class Leakage:
    """What one space tells of the other.

    Args:
        nats: H(a) + H(b) - H(a, b), each entropy estimated with a Gaussian kernel; 0 if the spaces are independent.
        shuffled: The same with the rows of b in random order: what is due to the number of items.
        most: The smaller of H(a) and H(b), above which `nats` cannot be.
        explained: Share of the variance of a that a linear model of b explains on left-out items, 0 to 1.
    """

    nats: float
    shuffled: float
    most: float
    explained: float


@torch.no_grad()
def leakage(a: Float[Vectors, "n d"], b: Float[Vectors, "n k"], temperature: float = 0.5, seed: int = 0) -> Leakage:
    """Estimate how much a second vector of each item tells of the first one.

    Both spaces are centred, and scaled so that the mean squared distance of two items is 2, as of unit vectors that are
    spread evenly: the estimate does not depend on where a space is, or on how large it is.

    Args:
        a, b: Two vectors of each of at least 10 items; all pairs are compared, so that 1,000 items are enough.
        temperature: Squared width of the kernel.
        seed: Random seed of the shuffled order and of the folds.

    Raises:
        InputError: Too few items, or different numbers of them.

    Source: Louiset et al. 2024, Separating common from salient patterns with Contrastive Representation Learning (the
    terms of its k-JEM).
    """
    a, b = vectors(a, "a", LEAST_ITEMS), vectors(b, "b", LEAST_ITEMS)
    if len(a) != len(b):
        raise InputError(f"expected as many rows in a and b, got {len(a)} and {len(b)}", field="b")
    x, y = _scaled(a), _scaled(b)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).to(y.device)
    of_a, of_b = _entropy([x], temperature), _entropy([y], temperature)
    together, apart = _entropy([x, y], temperature), _entropy([x, y[order]], temperature)
    return Leakage(of_a + of_b - together, of_a + of_b - apart, min(of_a, of_b), _explained(x, y, order))


def _scaled(x: Tensor) -> Tensor:
    x = x.double() - x.double().mean(0)
    size = (x**2).sum(1).mean().sqrt()
    return x / size if size > 0 else x


def _entropy(spaces: list[Tensor], temperature: float) -> float:
    """Minus the mean log-density of the rows under a product of kernels, each row included in its own density."""
    total = 0.0
    for rows in blocks(spaces[0]):
        squared = sum(((x[rows] ** 2).sum(1)[:, None] + (x**2).sum(1) - 2 * x[rows] @ x.T).clamp(min=0) for x in spaces)
        total += float((-torch.as_tensor(squared) / (2 * temperature)).exp().mean(1).log().sum())
    return -total / len(spaces[0])


def _explained(a: Tensor, b: Tensor, order: Tensor) -> float:
    unexplained = variance = 0.0
    for left_out in order.chunk(FOLDS):
        kept = torch.ones(len(a), dtype=torch.bool, device=a.device)
        kept[left_out] = False
        of_a, of_b = a[kept].mean(0), b[kept].mean(0)
        x = b[kept] - of_b
        ridge = x.T @ x + PENALTY * len(x) * x.var(0).mean() * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        weights = torch.linalg.pinv(ridge) @ x.T @ (a[kept] - of_a)
        unexplained += float(((a[left_out] - of_a - (b[left_out] - of_b) @ weights) ** 2).sum())
        variance += float(((a[left_out] - of_a) ** 2).sum())
    return max(0.0, 1 - unexplained / variance) if variance > 0 else 0.0

"""Measures of one set of vectors, or of two paired sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.geometry._rows import MAX_PAIRS, blocks, gram, groups, mean, paired_vectors, pieces, unit, vectors

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.geometry._rows import Vectors

#: Unit vectors whose mean square distance from their mean is below this differ only by rounding.
SAME = 1e-12


@torch.no_grad()
def uniformity(x: Float[Vectors, "n d"], t: float = 2.0, max_pairs: int | None = MAX_PAIRS, seed: int = 0) -> float:
    """-log of the mean of exp(-t |x_i - x_j|^2) over pairs i != j: higher is more uniform.

    0 where all vectors are the same; 2 t where all are orthogonal; little more is possible. Wang & Isola define it
    without the minus sign: lower is more uniform.

    Args:
        x: At least two vectors.
        t: Sharpness of the Gaussian kernel.
        max_pairs: With more pairs than these, rows are shuffled into groups and compared within their group: about this
            number of pairs in total, the same for every row, with an error of about 1 / sqrt(max_pairs) of the standard
            deviation. None compares all pairs: 100,000 vectors take minutes.
        seed: Random seed of the groups.

    Source: Wang & Isola 2020, Understanding Contrastive Representation Learning through Alignment and Uniformity.
    """
    x = vectors(x, "x", least=2)
    n = len(x)
    size = n if max_pairs is None or n * (n - 1) // 2 <= max_pairs else max(2, 2 * max_pairs // n + 1)
    total, pairs = x.new_zeros((), dtype=torch.float64), 0
    for rows in groups(n, size, seed):
        total += _sum_of_kernel(x, rows.to(x.device), t)
        pairs += len(rows) * (len(rows) - 1) // 2
    return float(-(total / pairs).log()) + 0.0


@torch.no_grad()
def alignment(a: Float[Vectors, "n d"], b: Float[Vectors, "n d"], alpha: float = 2.0) -> float:
    """Mean of |a_i - b_i|^alpha over positive pairs: lower is better, 0 if they are equal.

    Source: Wang & Isola 2020, as `uniformity`.
    """
    a, b = paired_vectors(a, b)
    total = a.new_zeros((), dtype=torch.float64)
    for rows in blocks(a):
        total += (unit(a[rows]) - unit(b[rows])).norm(dim=1).pow(alpha).sum(dtype=torch.float64)
    return float(total / len(a))


@torch.no_grad()
def tolerance(x: Float[Vectors, "n d"], labels: Int[Tensor, " n"] | Sequence[Any]) -> float:
    """Mean cosine over pairs i != j with the same label: high where texts with the same meaning are close.

    It is 1 where all vectors are the same, so read it together with `uniformity`.

    Args:
        x: The vectors.
        labels: One for each vector: numbers or names.

    Raises:
        InputError: no two vectors share a label.

    Source: Wang & Liu 2021, Understanding the Behaviour of Contrastive Loss.
    """
    x = vectors(x, "x")
    names = list(labels.tolist() if isinstance(labels, Tensor) else labels)
    if len(names) != len(x):
        raise InputError(
            f"got {len(names)} labels for {len(x)} vectors", field="labels", remedy="pass one label for each vector"
        )
    known = {name: row for row, name in enumerate(dict.fromkeys(names))}
    ids = torch.tensor([known[name] for name in names], device=x.device)
    counts = ids.bincount().double()
    if not bool((counts > 1).any()):
        raise InputError(
            "no two vectors share a label", field="labels", remedy="pass several vectors with the same label"
        )
    sums = x.new_zeros(len(known), x.shape[1], dtype=torch.float64)
    own = x.new_zeros(len(known), dtype=torch.float64)
    for rows in blocks(x):
        some = unit(x[rows]).double()
        sums.index_add_(0, ids[rows], some)
        own.index_add_(0, ids[rows], some.square().sum(1))
    # All products of the vectors of a label, minus those of a vector with itself.
    return float((sums.square().sum(1) - own).sum() / (counts * (counts - 1)).sum())


@torch.no_grad()
def mean_cosine(x: Float[Vectors, "n d"]) -> float:
    """Mean cosine over all pairs i != j: 0 for directions spread evenly, 1 for a single direction."""
    x = vectors(x, "x", least=2)
    return tolerance(x, torch.zeros(len(x), dtype=torch.long))


@torch.no_grad()
def cone(x: Float[Vectors, "n d"]) -> float:
    """Mean cosine of the vectors with their mean direction: 1 for a single direction, 0 where they cancel out.

    It is the length of their mean. For uniformly sampled directions it is about 1 / sqrt(n): compare sets of one size.

    Source: Liang et al. 2022, Mind the Gap (the cone effect).
    """
    return float(mean(vectors(x, "x")).norm())


@torch.no_grad()
def isotropy(x: Float[Vectors, "n d"]) -> float:
    """min Z / max Z, with Z(c) = sum_i exp(c . x_i) over c = plus and minus each eigenvector of X^T X.

    1 where no direction is preferred, near 0 for a narrow cone.

    Source: Mu & Viswanath 2018, All-but-the-Top, here on unit vectors.
    """
    x = vectors(x, "x")
    directions = torch.linalg.eigh(gram(x)).eigenvectors
    z = x.new_zeros(2, x.shape[1], dtype=torch.float64)
    for rows in blocks(x):
        along = unit(x[rows]).double() @ directions
        z += torch.stack([along.exp().sum(0), along.neg_().exp_().sum(0)])
    return float(z.min() / z.max())


@torch.no_grad()
def effective_rank(x: Float[Vectors, "n d"]) -> float:
    """exp of the entropy of the normalised singular values: from 1 (a line) to min(n, d) (all directions equally).

    Source: Roy & Vetterli 2007, The Effective Rank; Garrido et al. 2023, RankMe.
    """
    x = vectors(x, "x")
    singular = torch.linalg.eigvalsh(gram(x)).clamp_(min=0).sqrt_()
    shares = singular / singular.sum()
    return float(torch.special.entr(shares).sum().exp())


@torch.no_grad()
def explained_variance(x: Float[Vectors, "n d"]) -> Float[Tensor, " d"]:
    """The cumulative share of variance of the first 1, 2, ..., d principal components; the last entry is 1.

    Raises:
        InputError: all directions are the same, and there is no variance to explain.
    """
    x = vectors(x, "x", least=2)
    centre = mean(x)
    # Rounding can leave a variance just below zero.
    variances = torch.linalg.eigvalsh(gram(x) / len(x) - centre.outer(centre)).clamp_(min=0).flip(0)
    total = variances.sum()
    if float(total) < SAME:
        raise InputError("all vectors have the same direction: there is no variance", field="x")
    return variances.cumsum(0) / total


def _sum_of_kernel(x: Tensor, rows: Tensor, t: float) -> Tensor:
    """Sum of exp(-t |x_i - x_j|^2) over the pairs i < j of some rows."""
    total = x.new_zeros((), dtype=torch.float64)
    parts = pieces(rows)
    for k, some in enumerate(parts):
        these = unit(x[some])
        # |u - v|^2 = 2 - 2 u.v; in a block with itself every pair occurs twice, and each row once with itself.
        own = (these @ these.T).sub_(1).mul_(2 * t).exp_()
        total += (own.sum(dtype=torch.float64) - own.diagonal().sum(dtype=torch.float64)) / 2
        for others in parts[k + 1 :]:
            total += (these @ unit(x[others]).T).sub_(1).mul_(2 * t).exp_().sum(dtype=torch.float64)
    return total

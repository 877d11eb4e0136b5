"""What a space of vectors looks like, in one number each; and how hard a contrastive loss looks at its negatives.

    uniformity(x)               how evenly the sphere is filled
    alignment(a, b)             how far apart the two vectors of a pair are
    tolerance(x, labels)        how close vectors of one label are
    mean_cosine(x)              how close any two vectors are
    isotropy(x)                 whether all directions are used alike
    effective_rank(x)           how many directions are used
    relative_penalties(a, c)    which share of an anchor's push each negative gets
    effective_negatives(a, c)   how many negatives that push is spread over

Vectors are compared by direction: every row is scaled to length one first. All functions walk over blocks of rows in
float64 sums, so that memory stays flat, and take what `torch.as_tensor` takes: tensors, or the arrays of `encode`.
They are for looking, not for training: no gradient flows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar.errors import InputError
from nearfar.near import Near, paired

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

    from nearfar.far import Far

    Vectors = Tensor | np.ndarray

__all__ = [
    "alignment",
    "effective_negatives",
    "effective_rank",
    "isotropy",
    "mean_cosine",
    "relative_penalties",
    "tolerance",
    "uniformity",
]

#: Rows of a block. A block of pairs is as wide.
BLOCK = 2_048
#: Pairs that `uniformity` looks at before it estimates.
MAX_PAIRS = 100_000_000


@torch.no_grad()
def uniformity(x: Float[Vectors, "n d"], t: float = 2.0, max_pairs: int | None = MAX_PAIRS, seed: int = 0) -> float:
    """-log of the mean of exp(-t |x_i - x_j|^2) over pairs i != j: higher is more uniform.

    0 where all vectors are the same; 2 t where all are orthogonal; little more is possible. Wang & Isola state it
    without the minus and lower it.

    Args:
        x: At least two vectors.
        t: The kernel's sharpness.
        max_pairs: With more pairs than these, rows are shuffled into groups and compared within their group: about so
            many pairs in all, every row in equally many, which leaves an error of about 1 / sqrt(max_pairs) of the
            mean's spread. None compares all pairs: 100,000 vectors take minutes.
        seed: Decides the groups.

    Source: Wang & Isola 2020, Understanding Contrastive Representation Learning through Alignment and Uniformity.
    """
    x = _vectors(x, "x", least=2)
    n = len(x)
    size = n if max_pairs is None or n * (n - 1) // 2 <= max_pairs else max(2, 2 * max_pairs // n + 1)
    # Groups of sizes that differ by one at most.
    groups = max(1, n // size)
    order = torch.arange(n) if groups == 1 else torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    total, pairs = x.new_zeros((), dtype=torch.float64), 0
    for rows in order.to(x.device).tensor_split(groups):
        total += _sum_of_kernel(x, rows, t)
        pairs += len(rows) * (len(rows) - 1) // 2
    return float(-(total / pairs).log()) + 0.0


@torch.no_grad()
def alignment(a: Float[Vectors, "n d"], b: Float[Vectors, "n d"], alpha: float = 2.0) -> float:
    """Mean of |a_i - b_i|^alpha over pairs that belong together: lower is better, 0 where they coincide.

    Source: Wang & Isola 2020, as `uniformity`.
    """
    a, b = _vectors(a, "a"), _vectors(b, "b")
    if a.shape != b.shape:
        raise InputError(f"row i of a belongs to row i of b, but the shapes are {tuple(a.shape)} and {tuple(b.shape)}")
    total = a.new_zeros((), dtype=torch.float64)
    for rows in _blocks(a):
        total += (_unit(a[rows]) - _unit(b[rows])).norm(dim=1).pow(alpha).sum(dtype=torch.float64)
    return float(total / len(a))


@torch.no_grad()
def tolerance(x: Float[Vectors, "n d"], labels: Int[Tensor, " n"] | Sequence[Any]) -> float:
    """Mean cosine over pairs i != j of one label: high where what means the same is close.

    It is 1 where all vectors are the same, so read it beside `uniformity`.

    Args:
        x: The vectors.
        labels: One a vector: numbers or names.

    Raises:
        InputError: no two vectors share a label.

    Source: Wang & Liu 2021, Understanding the Behaviour of Contrastive Loss.
    """
    x = _vectors(x, "x")
    names = list(labels.tolist() if isinstance(labels, Tensor) else labels)
    if len(names) != len(x):
        raise InputError(f"{len(names)} labels for {len(x)} vectors", field="labels", remedy="give one a vector")
    known = {name: row for row, name in enumerate(dict.fromkeys(names))}
    ids = torch.tensor([known[name] for name in names], device=x.device)
    counts = ids.bincount().double()
    if not bool((counts > 1).any()):
        raise InputError("no two vectors share a label", field="labels", remedy="give several vectors of a label")
    sums = x.new_zeros(len(known), x.shape[1], dtype=torch.float64)
    own = x.new_zeros(len(known), dtype=torch.float64)
    for rows in _blocks(x):
        unit = _unit(x[rows]).double()
        sums.index_add_(0, ids[rows], unit)
        own.index_add_(0, ids[rows], unit.square().sum(1))
    # All products of a label's vectors, less those of a vector with itself.
    return float((sums.square().sum(1) - own).sum() / (counts * (counts - 1)).sum())


@torch.no_grad()
def mean_cosine(x: Float[Vectors, "n d"]) -> float:
    """Mean cosine over all pairs i != j: 0 for directions spread evenly, 1 for a single direction."""
    x = _vectors(x, "x", least=2)
    return tolerance(x, torch.zeros(len(x), dtype=torch.long))


@torch.no_grad()
def isotropy(x: Float[Vectors, "n d"]) -> float:
    """min Z / max Z, with Z(c) = sum_i exp(c . x_i) over c = plus and minus each eigenvector of X^T X.

    1 where no direction is preferred, near 0 for a narrow cone.

    Source: Mu & Viswanath 2018, All-but-the-Top, here on unit vectors.
    """
    x = _vectors(x, "x")
    directions = torch.linalg.eigh(_gram(x)).eigenvectors
    z = x.new_zeros(2, x.shape[1], dtype=torch.float64)
    for rows in _blocks(x):
        along = _unit(x[rows]).double() @ directions
        z += torch.stack([along.exp().sum(0), along.neg_().exp_().sum(0)])
    return float(z.min() / z.max())


@torch.no_grad()
def effective_rank(x: Float[Vectors, "n d"]) -> float:
    """exp of the entropy of the singular values' shares: between 1 (a line) and min(n, d) (all directions alike).

    Source: Roy & Vetterli 2007, The Effective Rank; Garrido et al. 2023, RankMe.
    """
    x = _vectors(x, "x")
    singular = torch.linalg.eigvalsh(_gram(x)).clamp_(min=0).sqrt_()
    shares = singular / singular.sum()
    return float(torch.special.entr(shares).sum().exp())


@torch.no_grad()
def relative_penalties(
    anchors: Float[Vectors, "n d"],
    candidates: Float[Vectors, "m d"],
    near: Near | None = None,
    far: Far | None = None,
    temperature: float = 0.05,
    similarity: Literal["cosine", "dot"] = "cosine",
) -> Float[Tensor, "n m"]:
    """Which share of what pushes an anchor each negative gets: |dL/ds_ij| over its sum, 0 for positives.

        r_ij = exp(s_ij / tau + F_ij) / sum over negatives k of exp(s_ik / tau + F_ik)

    Small temperatures give all of it to the hardest negative, large ones the same to each.

    Args:
        anchors, candidates, near, far, temperature, similarity: As for `contrast`; `near.paired()` when None.

    Returns:
        Rows that sum to 1; a row without negatives is 0.

    Source: Wang & Liu 2021, Understanding the Behaviour of Contrastive Loss.
    """
    blocks = _negatives(anchors, candidates, near, far, temperature, similarity)
    return torch.cat([x.softmax(1).nan_to_num_(0.0) for x in blocks])


@torch.no_grad()
def effective_negatives(
    anchors: Float[Vectors, "n d"],
    candidates: Float[Vectors, "m d"],
    near: Near | None = None,
    far: Far | None = None,
    temperature: float = 0.05,
    similarity: Literal["cosine", "dot"] = "cosine",
) -> Float[Tensor, " n"]:
    """Over how many negatives the push is spread: exp of the entropy of each row of `relative_penalties`.

    It grows with the temperature, from 1 to the number of negatives; 0 for an anchor that has none.

    Args:
        anchors, candidates, near, far, temperature, similarity: As for `contrast`; `near.paired()` when None.
    """
    found = []
    for x in _negatives(anchors, candidates, near, far, temperature, similarity):
        r = x.softmax(1)
        found.append(torch.where(r.isnan().any(1), 0, torch.special.entr(r).sum(1).exp()))
    return torch.cat(found)


def _negatives(
    anchors: Vectors, candidates: Vectors, near: Near | None, far: Far | None, temperature: float, similarity: str
) -> Iterator[Tensor]:
    """Blocks of rows of s / tau + F, -inf for positives."""
    if not 0 < temperature < float("inf"):
        raise InputError(f"{temperature} is no temperature", field="temperature", remedy="use e.g. 0.05")
    if similarity not in ("cosine", "dot"):
        raise InputError(f"{similarity!r} is not known", field="similarity", remedy='use "cosine" or "dot"')
    a, c = _vectors(anchors, "anchors"), _vectors(candidates, "candidates")
    if a.shape[1] != c.shape[1]:
        raise InputError(f"anchors and candidates have different widths: {tuple(a.shape)} and {tuple(c.shape)}")
    dtype = torch.promote_types(torch.promote_types(a.dtype, c.dtype), torch.float32)
    a, c = a.to(dtype), c.to(dtype)
    if similarity == "cosine":
        a, c = _unit(a), _unit(c)
    target = (near or paired()).bind(len(a), len(c), a)
    bound = None if far is None else far.bind(len(a), len(c), a)
    for rows in _blocks(a, len(c)):
        x = a[rows] @ c.T / temperature
        pull = target.at(rows)
        if bound is not None:
            bound.add_to(x, rows, pull, temperature)
        negative = torch.ones_like(x, dtype=torch.bool)
        pull.spare(negative)
        yield x.masked_fill_(~negative, -torch.inf)


def _sum_of_kernel(x: Tensor, rows: Tensor, t: float) -> Tensor:
    """Sum of exp(-t |x_i - x_j|^2) over the pairs i < j of some rows."""
    total = x.new_zeros((), dtype=torch.float64)
    blocks = rows.split(BLOCK)
    for k, some in enumerate(blocks):
        unit = _unit(x[some])
        # |u - v|^2 = 2 - 2 u.v, and each pair of a block with itself is there twice, the row with itself once.
        own = (unit @ unit.T).sub_(1).mul_(2 * t).exp_()
        total += (own.sum(dtype=torch.float64) - own.diagonal().sum(dtype=torch.float64)) / 2
        for others in blocks[k + 1 :]:
            total += (unit @ _unit(x[others]).T).sub_(1).mul_(2 * t).exp_().sum(dtype=torch.float64)
    return total


def _gram(x: Tensor) -> Float[Tensor, "d d"]:
    gram = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for rows in _blocks(x):
        unit = _unit(x[rows]).double()
        gram.addmm_(unit.T, unit)
    return gram


def _blocks(x: Tensor, width: int = BLOCK) -> Iterator[slice]:
    """Rows that make blocks of at most BLOCK^2 numbers where each is `width` wide."""
    step = max(1, BLOCK * BLOCK // width)
    return (slice(start, min(start + step, len(x))) for start in range(0, len(x), step))


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1)


def _vectors(x: Any, name: str, least: int = 1) -> Tensor:
    x = torch.as_tensor(x).detach()
    if x.ndim != 2 or not x.is_floating_point():
        raise InputError(f"a matrix of vectors (n, d) is needed, got {x.dtype} of shape {tuple(x.shape)}", field=name)
    if len(x) < least or x.shape[1] == 0:
        raise InputError(f"at least {least} vectors are needed, got shape {tuple(x.shape)}", field=name)
    for rows in _blocks(x):
        if not bool((finite := torch.isfinite(x[rows]).all(1)).all()):
            row = rows.start + int((~finite).nonzero()[0])
            raise InputError(f"row {row} holds NaN or infinity", field=name, remedy="look at the model's output")
    return x

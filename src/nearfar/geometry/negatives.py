"""Which negatives push an anchor, and how many of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.geometry._rows import blocks, unit, vectors
from nearfar.near import paired

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.blocks import Far, Near
    from nearfar.geometry._rows import Vectors


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
    found = _negatives(anchors, candidates, near, far, temperature, similarity)
    return torch.cat([x.softmax(1).nan_to_num_(0.0) for x in found])


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
    a, c = vectors(anchors, "anchors"), vectors(candidates, "candidates")
    if a.shape[1] != c.shape[1]:
        raise InputError(f"anchors and candidates have different widths: {tuple(a.shape)} and {tuple(c.shape)}")
    dtype = torch.promote_types(torch.promote_types(a.dtype, c.dtype), torch.float32)
    a, c = a.to(dtype), c.to(dtype)
    if similarity == "cosine":
        a, c = unit(a), unit(c)
    bound_near = (near or paired()).bind(len(a), len(c), a)
    bound = None if far is None else far.bind(len(a), len(c), a)
    for rows in blocks(a, len(c)):
        x = a[rows] @ c.T / temperature
        targets = bound_near.at(rows)
        if bound is not None:
            bound.add_to(x, rows, targets, temperature)
        negative = torch.ones_like(x, dtype=torch.bool)
        targets.clear_positives(negative)
        yield x.masked_fill_(~negative, -torch.inf)

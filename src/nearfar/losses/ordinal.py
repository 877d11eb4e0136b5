"""Losses for pairs with graded labels: the similarities should have the order of the labels.

    pearson(s, y)                 1 - correlation
    rank_kl(s, y)                 divergence of the softmax of the similarities from the softmax of the labels' ranks
    preference_ranking(s, y)      each pair above all pairs with lower labels, weighted by the difference (PRO)
    alike_in_batch(a, b, y)       InfoNCE for the pairs with high labels

s: (n,) similarities of n pairs; y: (n,) their labels, higher for more similar. All but the first use the kernel.

Source: Zhang et al. 2025, CoDiEmb; Zhang and Li 2024, Pcc-tuning (pearson); Song et al. 2024, Preference Ranking
Optimization for Human Alignment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar import far, near
from nearfar.contrast import contrast

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["alike_in_batch", "pearson", "preference_ranking", "rank_kl", "relative_ranks"]

#: Labels with a smaller difference are equal.
TIE = 1e-8


def pearson(s: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """1 - Pearson's correlation of similarities and labels; 0 if all labels are equal.

    Raises:
        ValueError: s and y are not vectors of the same length.
    """
    y = _labels(s, y)
    if bool((y == y[0]).all()):
        return 0 * s.sum()
    # The cosine of the centred vectors; its eps keeps the gradient finite if all similarities are equal.
    return 1 - F.cosine_similarity(s - s.mean(), y - y.mean(), dim=0)


def relative_ranks(y: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Ranks from 0 for the lowest label to 1 for the highest; equal labels have the mean of their ranks."""
    below, equal = (y[:, None] > y).sum(1), (y[:, None] == y).sum(1)
    return (below + (equal - 1) / 2).to(y.dtype) / max(1, len(y) - 1)


def rank_kl(
    s: Float[Tensor, " n"],
    y: Float[Tensor, " n"],
    temperature: float = 0.05,
    reduction: Literal["batchmean", "sum"] = "batchmean",
) -> Float[Tensor, ""]:
    """KL(softmax(relative ranks / tau) || softmax(s / tau)) over the pairs of the batch.

    One row of the kernel: its candidates are the pairs, and its P is the distribution of the ranks.

    Args:
        s, y: See the module.
        temperature: tau of both distributions. At 0.05 almost all weight is on the pairs with the highest labels.
        reduction: `"batchmean"` divides by n, as the paper's code does, so that larger batches have less weight.

    Raises:
        ValueError: s and y are not vectors of the same length.
    """
    y = _labels(s, y)
    target = (relative_ranks(y) / temperature).softmax(0)
    anchor = s.new_ones(1, 1)
    crossed = contrast(anchor, s[:, None], near.weights(target[None]), temperature=temperature, similarity="dot")
    divergence = crossed - torch.special.entr(target).sum()
    return divergence / len(s) if reduction == "batchmean" else divergence


def preference_ranking(s: Float[Tensor, " n"], y: Float[Tensor, " n"], temperature: float = 0.05) -> Float[Tensor, ""]:
    """Each pair k against all pairs j with lower labels, d_kj = y_k - y_j:

        l_k = -log( exp(m_k s_k / tau) / (exp(m_k s_k / tau) + sum_j exp(d_kj s_j / tau)) ),  m_k = max_j d_kj

    The mean over all k with such a j; 0 if there are none. Row k of the kernel has S_kj = d_kj s_j.

    Args:
        s, y: See the module.
        temperature: tau, for labels from 0 to 1: multiplying the labels by 5 is the same as dividing tau by 5.

    Raises:
        ValueError: s and y are not vectors of the same length.
    """
    y = _labels(s, y)
    gap = y[:, None] - y
    above = gap > TIE
    rows = above.any(1)
    if not bool(rows.any()):
        return 0 * s.sum()
    own = torch.eye(len(s), dtype=torch.bool, device=s.device)
    scale = torch.where(above, gap, 0)
    scale = torch.where(own, scale.amax(1, keepdim=True), scale)
    # As vectors: S = scale @ diag(s), so that S_kj = scale_kj s_j.
    return contrast(
        scale[rows],
        torch.diag(s),
        near.weights(own[rows].to(s.dtype)),
        far.masked(~(above | own)[rows]),
        temperature=temperature,
        similarity="dot",
    )


def alike_in_batch(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    y: Float[Tensor, " n"],
    threshold: float = 1.0,
    temperature: float = 0.02,
) -> Float[Tensor, ""]:
    """InfoNCE of the rows with y >= threshold against all n second texts; 0 if there is no such row.

    Raises:
        ValueError: The number of labels is not n, or the shapes do not fit the kernel.
    """
    if len(y) != len(a):
        raise ValueError(f"expected one label per pair, got {len(y)} labels for {len(a)} pairs")
    rows = y >= threshold
    if not bool(rows.any()):
        return 0 * (a.sum() + b.sum())
    return contrast(a, b, near.weights(torch.diag(rows.to(a.dtype))), temperature=temperature)


def _labels(s: Tensor, y: Tensor) -> Tensor:
    if s.ndim != 1 or s.shape != y.shape or len(s) == 0:
        raise ValueError(
            f"expected similarities and labels of the same shape (n,), got {tuple(s.shape)} and {tuple(y.shape)}"
        )
    return y.to(s.device, s.dtype)

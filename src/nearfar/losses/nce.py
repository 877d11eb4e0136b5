"""Noise-contrastive estimation: an item's own label against labels that were drawn, each judged for itself.

Binary NCE asks of each label whether it was drawn from noise; it is the kernel with the two candidates yes and no.
Ranking NCE (InfoNCE) asks which of several labels was not: `nearfar.contrast` itself. Ma and Collins 2018 (arXiv
1809.01812) show when each of them is consistent. Debiased InfoNCE is no case of the kernel, as it subtracts from the
denominator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar import near
from nearfar.contrast import contrast

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

__all__ = ["binary_nce", "debiased_info_nce"]


def binary_nce(
    scores: Float[Tensor, "n c"],
    positive: Bool[Tensor, "n c"],
    counted: Bool[Tensor, "n c"] | None = None,
    *,
    log_noise: Float[Tensor, "n c"] | None = None,
) -> Float[Tensor, ""]:
    """The mean over items of the mean over their labels of -log sigmoid(score), or of its opposite for negatives.

    Args:
        scores: Logits of n items with c labels each.
        positive: Which labels belong to the item.
        counted: Labels that count; an item without any is left out.
        log_noise: log(K q): how many times each label is expected among the K that were drawn. It is subtracted from
            the scores, so that they estimate log p(label | item). Without it, log p(label | item) / q(label).
    """
    counted = torch.ones_like(positive) if counted is None else counted
    logits = scores if log_noise is None else scores - log_noise
    each = counted.sum(1, keepdim=True)
    items = int((each > 0).sum())
    if not items:
        return scores.sum() * 0
    weight = (counted.to(logits.dtype) / each.clamp(min=1) / items).flatten()
    target = positive.flatten().to(logits.dtype)
    pulls = near.weights(torch.stack([weight * (1 - target), weight * target], 1))
    columns = torch.stack([torch.zeros_like(logits), logits], -1).flatten(0, 1)
    classes = torch.eye(2, dtype=columns.dtype, device=columns.device)
    return contrast(columns, classes, pulls, temperature=1.0, similarity="dot", reduction="sum", engine="dense")


def debiased_info_nce(
    positive: Float[Tensor, " n"], negatives: Float[Tensor, "n k"], prior: float, temperature: float = 1.0
) -> Float[Tensor, ""]:
    """InfoNCE for negatives of which a part are positives that nobody marked: their expected share is subtracted.

        g = max( (mean_k exp(s_k / tau) - prior exp(s+ / tau)) / (1 - prior), exp(-1 / tau) )
        loss = -log( exp(s+ / tau) / (exp(s+ / tau) + K g) )

    Args:
        positive: Similarity s+ of each anchor with its positive, at least -1.
        negatives: Similarities s_k with its K negatives.
        prior: Probability that a negative is a positive; 0: InfoNCE.
        temperature: tau.

    Source: Chuang et al. 2020, Debiased Contrastive Learning (arXiv 2007.00224).
    """
    if not 0 <= prior < 1:
        raise ValueError(f"invalid prior: must be at least 0 and below 1, got {prior}")
    positive, negatives = positive / temperature, negatives / temperature
    # In units of the largest exponential, as these overflow at low temperatures.
    unit = torch.maximum(positive, negatives.amax(1)).detach()
    pull, push = (positive - unit).exp(), (negatives - unit[:, None]).exp().mean(1)
    least = (-1 / temperature - unit).exp()
    others = negatives.shape[1] * torch.maximum((push - prior * pull) / (1 - prior), least)
    return ((pull + others).log() - (positive - unit)).mean()

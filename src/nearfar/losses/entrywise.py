"""Softmax rows judged entry by entry: what the released code of MultiCSR computes, beside the paper's loss.

    p_i = softmax_j( G_ij s_ij / tau )
    loss = mean_ij BCE( p_ij, 1[j == i] ) = 1 / (n m) sum_i ( -log p_ii - sum_{j != i} log(1 - p_ij) )

A candidate taken out (G_ij = 0) has its similarity set to 0: it stays in the denominator as exp(0) = 1. Neither this
nor the second sum is a near or a far of `contrast`, so it stands beside the kernel, and holds an n x m matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar.losses.contrast import ContrastLoss

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

__all__ = ["EntrywiseLoss", "entrywise", "entrywise_of_similarities"]


def entrywise(
    anchors: Float[Tensor, "n d"],
    candidates: Float[Tensor, "m d"],
    out: Bool[Tensor, "n m"] | None = None,
    temperature: float | Float[Tensor, ""] = 0.05,
) -> Float[Tensor, ""]:
    """The loss of anchors whose positive is the candidate of the same number; cosine similarity.

    Args:
        anchors: Half precision is raised to float32.
        candidates: m >= n; those after the first n are extra negatives.
        out: Candidates whose similarity is set to 0. Positives always stay.
        temperature: tau.

    Raises:
        ValueError: fewer candidates than anchors.
    """
    n, m = len(anchors), len(candidates)
    if m < n:
        raise ValueError(f"candidate i belongs to anchor i, but there are {n} anchors and {m} candidates")
    with torch.autocast(anchors.device.type, enabled=False):
        dtype = torch.promote_types(anchors.dtype, torch.float32)
        s = F.normalize(anchors.to(dtype), dim=1) @ F.normalize(candidates.to(dtype), dim=1).T
        return entrywise_of_similarities(s, out, temperature)


def entrywise_of_similarities(
    similarities: Float[Tensor, "n m"],
    out: Bool[Tensor, "n m"] | None = None,
    temperature: float | Float[Tensor, ""] = 0.05,
) -> Float[Tensor, ""]:
    """The same from the matrix of similarities."""
    positive = torch.eye(*similarities.shape, dtype=torch.bool, device=similarities.device)
    if out is not None:
        similarities = similarities.masked_fill(out & ~positive, 0.0)
    p = (similarities / temperature).softmax(1)
    # torch bounds the logarithms: a negative that takes all of a row would make the loss infinite.
    return F.binary_cross_entropy(p, positive.to(p.dtype))


class EntrywiseLoss(ContrastLoss):
    """`entrywise` on the columns of a data set, as `ContrastLoss` is `contrast` on them; one process alone.

    Args:
        model: The model in training.
        guide: A frozen model whose similarities show false negatives.
        threshold: Candidates whose cosine with the anchor under the guide is above it are set to 0.
        **options: `temperature`, `cached` and others of `ContrastLoss`.
    """

    def __init__(
        self, model: SentenceTransformer, guide: SentenceTransformer | None, threshold: float, **options: Any
    ) -> None:
        super().__init__(model, guide=guide, **options)
        self.threshold = threshold

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """From the vectors of each column, and the guide's, to the loss."""
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            raise ValueError("EntrywiseLoss sees the candidates of one process alone; train in one process")
        out = None
        if guided is not None:
            anchors, candidates = (F.normalize(x, dim=1) for x in (guided[0], torch.cat(list(guided[1:]))))
            out = anchors @ candidates.T > self.threshold
        return entrywise(columns[0], torch.cat(list(columns[1:])), out, temperature)

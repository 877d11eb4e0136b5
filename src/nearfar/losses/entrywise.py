"""Binary cross-entropy of each entry of a softmax: the loss of MultiCSR's released code, which differs from the paper.

    p_i = softmax_j( G_ij s_ij / tau )
    loss = mean_ij BCE( p_ij, 1[j == i] ) = 1 / (n m) sum_i ( -log p_ii - sum_{j != i} log(1 - p_ij) )

A masked candidate (G_ij = 0) has the similarity 0: it remains in the denominator as exp(0) = 1. Neither this nor the
second sum is a `near` or `far` of `contrast`, so this loss does not use the kernel; it needs n x m memory.
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
    """The loss of anchors, where the positive of anchor i is candidate i; cosine similarity.

    Args:
        anchors: Half precision is converted to float32.
        candidates: m >= n; candidates after the first n are extra negatives.
        out: Candidates whose similarity is set to 0; positives keep theirs.
        temperature: tau.

    Raises:
        ValueError: Fewer candidates than anchors.
    """
    n, m = len(anchors), len(candidates)
    if m < n:
        raise ValueError(f"expected at least one candidate per anchor, got {m} candidates for {n} anchors")
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
    # torch limits the logarithms, so the loss stays finite if a negative has the whole probability.
    return F.binary_cross_entropy(p, positive.to(p.dtype))


class EntrywiseLoss(ContrastLoss):
    """`entrywise` on the columns of a dataset, as `ContrastLoss` is `contrast` on them; for training in one process.

    Args:
        model: The model in training.
        guide: A frozen model whose similarities find false negatives; None: no mask.
        threshold: Guide's cosine with the anchor above which a candidate's similarity is set to 0.
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
        """See `ContrastLoss.loss_of_vectors`.

        Raises:
            ValueError: There are several processes.
        """
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            raise ValueError("EntrywiseLoss requires training in one process")
        out = None
        if guided is not None:
            anchors, candidates = (F.normalize(x, dim=1) for x in (guided[0], torch.cat(list(guided[1:]))))
            out = anchors @ candidates.T > self.threshold
        return entrywise(columns[0], torch.cat(list(columns[1:])), out, temperature)

"""Losses for the trainer of sentence-transformers: pairs with scores, and queries with several positives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nearfar.losses import ordinal
from nearfar.losses.contrast import ContrastLoss
from nearfar.models.elastic import LayerViews
from nearfar.models.packing import embed

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["GradedSimilarityLoss", "GradedWeights", "MultiPositiveLoss"]


@dataclass(frozen=True)
class GradedWeights:
    """Weights and settings of the terms of `GradedSimilarityLoss`; a term of weight 0 is not computed.

    Args:
        middle: Weight of InfoNCE on the middle layer, for pairs with labels of at least `alike_from`.
        pearson: Weight of 1 - Pearson's correlation.
        preference_ranking: Weight of PRO.
        rank_kl: Weight of the divergence from the ranks.
        temperature: tau of PRO and of the divergence.
        middle_temperature: tau of InfoNCE.
        alike_from: Minimum label of a positive pair.
        reduction: `"batchmean"` divides the divergence by the number of pairs.
    """

    middle: float = 1.0
    pearson: float = 2.0
    preference_ranking: float = 0.5
    rank_kl: float = 5.0
    temperature: float = 0.05
    middle_temperature: float = 0.02
    alike_from: float = 1.0
    reduction: Literal["batchmean", "sum"] = "batchmean"


class GradedSimilarityLoss(nn.Module):
    """Losses on the order of the cosines of pairs: columns sentence1, sentence2 and a score from 0 to 1.

    Args:
        model: The model in training.
        weights: The terms and their weights.

    Raises:
        InputError: The weight of the middle layer is not 0, and the model has no single stack of layers.

    Example:
        >>> loss = GradedSimilarityLoss(model, GradedWeights(middle=0))
        >>> SentenceTransformerTrainer(model, args, train_dataset, loss=loss).train()
    """

    def __init__(self, model: SentenceTransformer, weights: GradedWeights | None = None) -> None:
        super().__init__()
        self.model = model
        self.weights = weights or GradedWeights()
        self.views = LayerViews(model) if self.weights.middle else None

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        if labels is None:
            raise ValueError("GradedSimilarityLoss requires a 'score' column after two columns of texts")
        columns = list(sentence_features)
        if self.views is None:
            a, b = embed(self.model, columns)
            return self.loss_of_vectors(a, b, labels)
        # The third of 6 layers, the twelfth of 24: `hidden_states[n // 2]`, where n includes the embeddings.
        layers = [(self.views.depth + 1) // 2, self.views.depth]
        a, b = embed(cast("nn.Module", self.views.at(self.model, layers)), columns)
        return self.loss_of_vectors(a[:, 1], b[:, 1], labels, (a[:, 0], b[:, 0]))

    def loss_of_vectors(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        labels: Float[Tensor, " n"],
        middle: tuple[Float[Tensor, "n d"], Float[Tensor, "n d"]] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss from the vectors of both sides, and those of the middle layer."""
        w = self.weights
        # Correlations and softmaxes over a batch need more than half precision.
        dtype = torch.promote_types(a.dtype, torch.float32)
        s, y = F.cosine_similarity(a.to(dtype), b.to(dtype)), labels.to(dtype)
        loss = 0 * s.sum()
        if w.pearson:
            loss = loss + w.pearson * ordinal.pearson(s, y)
        if w.preference_ranking:
            loss = loss + w.preference_ranking * ordinal.preference_ranking(s, y, w.temperature)
        if w.rank_kl:
            loss = loss + w.rank_kl * ordinal.rank_kl(s, y, w.temperature, w.reduction)
        if w.middle and middle is not None:
            loss = loss + w.middle * ordinal.alike_in_batch(*middle, y, w.alike_from, w.middle_temperature)
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return asdict(self.weights)


class MultiPositiveLoss(ContrastLoss):
    """InfoNCE with several positives per query, one at a time: the mean over slots k of

        -log( exp(s(q_b, d_bk) / tau) / sum over columns exp(s(q_b, c) / tau) )

    where the columns of slot k are every query's k-th positive and every query's negatives, of all processes with
    `gather_across_devices`. The other positives of a query are neither its targets nor its negatives.

    Args:
        model: The model in training.
        positives: Number of columns of positives, after the anchor; further columns are negatives.
        **options: See `ContrastLoss`.

    Raises:
        ValueError: `positives` is less than 1.
    """

    def __init__(self, model: SentenceTransformer, positives: int, **options: Any) -> None:
        super().__init__(model, **options)
        if positives < 1:
            raise ValueError(f"invalid positives: must be >= 1, got {positives}")
        self.positives = positives

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """See `ContrastLoss.loss_of_vectors`; columns are anchor, positives, negatives."""
        last = 1 + self.positives
        slots = [[0, slot, *range(last, len(columns))] for slot in range(1, last)]
        losses = [
            super(MultiPositiveLoss, self).loss_of_vectors(
                [columns[i] for i in slot],
                labels,
                None if guided is None else [guided[i] for i in slot],
                temperature,
            )
            for slot in slots
        ]
        return torch.stack(losses).mean()

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {**super().get_config_dict(), "positives": self.positives}

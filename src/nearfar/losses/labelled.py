"""Pairs of texts with a label, whose targets are hard (the same label) or soft (what the labels mean)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from nearfar import near
from nearfar.losses._own import averaged_over_processes
from nearfar.losses.contrast import Batch, ContrastLoss
from nearfar.near import Near

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["LabelledPairsLoss"]


class LabelledPairsLoss(ContrastLoss):
    """Contrast of anchors with positives, where P comes from the labels.

        z = head(model(text))
        P_ij = softmax over j of cos(l_y(i), l_y(j)) / tau'      soft: l are vectors of the labels' names
        P_ij = [y(i) = y(j)] / number of such j                  hard

    A pair counts as near its own row too, and anchors meet positives alone. The symmetric loss has the same P both ways
    (P is not symmetric: its rows sum to 1, not its columns). The soft loss never falls below the entropy of P.

    Args:
        model: The model in training.
        label_vectors: l, row y for label y; frozen, and not saved with checkpoints. None: hard targets.
        label_temperature: tau'.
        head: Stands between model and loss; trained, and no part of the model. Its parameters' names contain
            `training_head`.
        **settings: See `ContrastLoss`; `near` is chosen here, and `cached` is not offered.

    Data: columns `anchor`, `positive`, and `label`, a number from 0.
    """

    label_vectors: Tensor | None

    def __init__(
        self,
        model: SentenceTransformer,
        label_vectors: Float[Tensor, "labels m"] | None = None,
        label_temperature: float = 0.1,
        head: nn.Module | None = None,
        **settings: Any,
    ) -> None:
        if settings.get("cached"):
            raise ValueError("LabelledPairsLoss has no gradient cache: its head would be trained twice a batch")
        super().__init__(model, near=self._targets, **settings)
        unit = None if label_vectors is None else F.normalize(label_vectors.detach().float(), dim=1)
        self.register_buffer("label_vectors", unit, persistent=False)
        self.label_temperature = label_temperature
        self.training_head = None if head is None else averaged_over_processes(head)

    def loss_of_vectors(
        self,
        columns: Sequence[Tensor],
        labels: Tensor | None,
        guided: Sequence[Tensor] | None,
        temperature: float | Tensor,
    ) -> Tensor:
        """See `ContrastLoss.loss_of_vectors`; the columns are anchors and positives."""
        if self.training_head is not None:
            columns = [self.training_head(column) for column in columns]
        return super().loss_of_vectors(columns, labels, guided, temperature)

    def _targets(self, batch: Batch) -> Near:
        if batch.labels is None:
            raise ValueError("LabelledPairsLoss needs a 'label' column beside anchor and positive")
        if self.label_vectors is None:
            return near.same_label(batch.labels, batch.labels)
        vectors = self.label_vectors[batch.labels]
        return near.by_softmax(vectors, vectors, self.label_temperature)

    def get_config_dict(self) -> dict[str, Any]:
        """What the model card says of this loss."""
        targets: dict[str, Any] = {"targets": "hard"}
        if self.label_vectors is not None:
            targets = {"targets": "soft", "label_temperature": self.label_temperature}
        return super().get_config_dict() | targets

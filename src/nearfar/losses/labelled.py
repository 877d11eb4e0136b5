"""Pairs of texts with a label; targets are hard (the same label) or soft (by the similarity of the labels)."""

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
    """The contrast of anchors and positives with P from the labels.

        z = head(model(text))
        P_ij = softmax over j of cos(l_y(i), l_y(j)) / tau'      soft: l are vectors of the labels' names
        P_ij = [y(i) = y(j)] / number of such j                  hard

    P_ii counts too. Candidates are the positives only. The symmetric loss uses the same P in both directions, although
    P is not symmetric: its rows sum to 1, its columns do not. The minimum of the soft loss is the entropy of P.

    Args:
        model: The model in training.
        label_vectors: l, row y for label y; frozen, not saved in checkpoints. None: hard targets.
        label_temperature: tau'.
        head: Applied to the vectors before the loss; trained, but not part of the model. The names of its parameters
            contain `training_head`.
        **settings: See `ContrastLoss`; without `near` and `cached`.

    Data: columns `anchor`, `positive`, and `label`, an integer from 0.

    Raises:
        ValueError: `cached` is set: the head would be trained twice per batch.
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
            raise ValueError("invalid cached: must be False, because the head would be trained twice per batch")
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
            raise ValueError("LabelledPairsLoss requires a 'label' column after anchor and positive")
        if self.label_vectors is None:
            return near.same_label(batch.labels, batch.labels)
        vectors = self.label_vectors[batch.labels]
        return near.by_softmax(vectors, vectors, self.label_temperature)

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        targets: dict[str, Any] = {"targets": "hard"}
        if self.label_vectors is not None:
            targets = {"targets": "soft", "label_temperature": self.label_temperature}
        return super().get_config_dict() | targets

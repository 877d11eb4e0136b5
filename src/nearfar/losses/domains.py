"""The contrast of texts from several domains, each embedded by the experts of its domain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar import far
from nearfar.far import Far
from nearfar.losses.contrast import Batch, ContrastLoss
from nearfar.models.experts.domains import DomainExperts

__all__ = ["DomainLoss"]


class DomainLoss(ContrastLoss):
    """`ContrastLoss` for a model with `DomainExperts`.

    The label column contains the domain: `label % N` is the domain of all texts of a row, see `with_domain_labels`.

    Args:
        model: The model in training.
        in_domain: Use negatives of the anchor's own domain only; otherwise of the whole batch. The mask covers the
            candidates of one process, so `gather_across_devices` has no effect then.
        **settings: See `ContrastLoss`, without `far`.
    """

    def __init__(self, model: SentenceTransformer, in_domain: bool = False, **settings: Any) -> None:
        if in_domain:
            settings = {**settings, "far": self._in_domain, "gather_across_devices": False}
        super().__init__(model, **settings)
        self.number = len(self._experts().domains)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it.

        Raises:
            ValueError: There is no label column.
        """
        if labels is None:
            raise ValueError("DomainLoss requires a 'label' column with the domains; see with_domain_labels")
        experts = self._experts()
        return super().forward([experts.with_domain(f, labels % self.number) for f in sentence_features], labels)

    def _experts(self) -> DomainExperts:
        # Looked up each time: the trainer may wrap the model, and modules that a loss keeps are saved with it.
        found = next((module for module in self.model.modules() if isinstance(module, DomainExperts)), None)
        if found is None:
            raise ValueError("the model has no DomainExperts; see nearfar.models.experts.domains.add_domain_experts")
        return found

    def _in_domain(self, batch: Batch) -> Far:
        assert batch.labels is not None
        domain = batch.labels % self.number
        others = domain.repeat((len(batch.candidates) - batch.extra) // len(domain))
        mask = far.masked(F.pad(domain[:, None] != others, (0, batch.extra)))
        # Labels of pairs are all different; a batch contains at least two labelled texts of a label.
        labelled = torch.unique(batch.labels).numel() < len(batch.labels)
        return far.except_self() + mask if labelled else mask

"""Distillation from the similarities of an encoder, whatever the width of its vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from nearfar import far, near
from nearfar.losses.contrast import Batch, ContrastLoss

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["TeacherSimilarityLoss"]


class TeacherSimilarityLoss(ContrastLoss):
    """Cross-entropy of the student's distribution over the candidates of a batch, with the teacher's as target:

        mean_i CE( softmax_j(cos(g_i, h_j) / teacher temperature), softmax_j(cos(a_i, c_j) / tau) )

    a, c: the student's vectors; g, h: the teacher's, of any width. Near are all candidates, as much as the teacher
    finds them similar; far are all. Of a single column of texts, the candidates are the other texts.

    Args:
        model: The model in training.
        teacher: A frozen encoder.
        teacher_temperature: Temperature of the targets.
        **options: `temperature`, `cached`, `mini_batch_num_tokens` of `ContrastLoss`; of several columns of texts also
            `gather_across_devices`.

    Source: Fang et al. 2021, SEED: Self-supervised Distillation for Visual Representation. Its candidates are a queue.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        teacher: SentenceTransformer,
        teacher_temperature: float = 0.05,
        **options: Any,
    ) -> None:
        if not teacher_temperature > 0:
            raise ValueError(f"invalid teacher_temperature: must be > 0, got {teacher_temperature}")
        self.teacher_temperature = teacher_temperature
        super().__init__(model, near=self._weights, far=_others, guide=teacher, **options)

    def _weights(self, batch: Batch) -> near.Near:
        guide, candidates = batch.guide_anchors, batch.guide_candidates
        assert guide is not None
        assert candidates is not None
        if guide is not candidates:
            return near.by_softmax(guide, candidates, self.teacher_temperature)
        unit = F.normalize(guide, dim=1)
        similarities = (unit @ unit.T / self.teacher_temperature).fill_diagonal_(-float("inf"))
        return near.weights(similarities.softmax(1))

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return {**super().get_config_dict(), "teacher_temperature": self.teacher_temperature}


def _others(batch: Batch) -> far.Far | None:
    """All candidates; of one column of texts, all but the text itself."""
    return far.except_self() if batch.guide_anchors is batch.guide_candidates else None

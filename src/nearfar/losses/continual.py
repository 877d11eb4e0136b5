"""Losses for learning new classes without forgetting the old ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar import far, near
from nearfar.contrast import contrast
from nearfar.engines import Engine, EngineName
from nearfar.losses._own import averaged_over_processes
from nearfar.losses.contrast import ContrastLoss
from nearfar.models.guide import Guide
from nearfar.models.label_vectors import LabelVectors
from nearfar.models.packing import embed
from nearfar.models.sequence_decoder import SequenceDecoder, frames_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch.distributed import ProcessGroup

__all__ = ["ContinualLoss", "ContinualWeights", "new_items_contrast", "rehearsal_contrast"]

#: Labels of anchors and of candidates that attract nothing: they equal no class, nor each other.
_NO_ANCHOR, _NO_POSITIVE = -1, -2


def rehearsal_contrast(
    student: Float[Tensor, "n d"],
    teacher: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    rehearsal: Bool[Tensor, " n"],
    temperature: float | Tensor = 0.1,
    *,
    negatives: Literal["student", "teacher"] = "student",
    own_teacher: bool = True,
    self_in_denominator: bool = True,
    reduction: Literal["mean", "sum"] = "mean",
    engine: EngineName | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Float[Tensor, ""]:
    """Pulls rehearsed items towards what a frozen teacher makes of their class, and away from all items of the batch.

        loss_k = -1/|P(k)| sum_{p in P(k)} log( exp(cos(h_k, t_p)/tau) / sum_i exp(cos(h_k, n_i)/tau) )

    with student vectors h, teacher vectors t, and n = h (negative-student positive-teacher, NSPT) or n = t
    (negative-teacher positive-teacher, NTPT). Anchors k and positives p are rehearsed items with the same label; the
    denominator has all items of the batch. A new item is repelled by the anchors and nothing else. Anchors without a
    positive are skipped; without any anchor, the loss is 0 with zero gradients.

    Args:
        student: Vectors of the model in training.
        teacher: Vectors that the model gave the same items before this task; no gradient reaches them.
        labels: Classes, from 0.
        rehearsal: Which items come from the rehearsal buffer.
        temperature: tau.
        negatives: Whose vectors are in the denominator.
        own_teacher: Whether the teacher's vector of the anchor itself is a positive. Without it, most anchors of a
            small buffer have no positive.
        self_in_denominator: Whether the anchor itself is in the denominator. Without it, the loss has no lower bound as
            tau decreases.
        reduction: Over the anchors that have a positive.
        engine, group: See `nearfar.contrast`.

    Source: Cappellazzo et al. 2024, Continual Contrastive Spoken Language Understanding.
    """
    teacher = teacher.detach()
    if own_teacher:
        target = near.same_label(labels.where(rehearsal, _NO_ANCHOR), labels.where(rehearsal, _NO_POSITIVE))
    else:
        # One label for each new item, different in all processes.
        rank = 0 if group is None else torch.distributed.get_rank(group)
        alone = -1 - torch.arange(len(labels), device=labels.device) - (rank << 32)
        target = near.same_label(labels.where(rehearsal, alone))
    excluded = None if self_in_denominator else far.except_self()
    candidates, positives = (student, teacher) if negatives == "student" else (teacher, None)
    return contrast(
        student,
        candidates,
        target,
        excluded,
        positives,
        temperature,
        reduction=reduction,
        empty="zero",
        engine=engine,
        group=group,
    )


def new_items_contrast(
    items: Float[Tensor, "n d"],
    texts: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    new: Bool[Tensor, " n"],
    temperature: float | Tensor = 0.1,
    *,
    reduction: Literal["mean", "sum"] = "mean",
    engine: EngineName | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Float[Tensor, ""]:
    """Contrast of new items with the texts of the batch, and of their texts with the items; the same label attracts.

    Anchors are the new items; candidates are all items, with the rehearsed ones. If all items are new and all labels
    differ, this is CLIP's loss.

    Args:
        items: Vectors of images or audio files.
        texts: Vectors of their texts.
        labels: Classes, from 0.
        new: Which items do not come from the rehearsal buffer.
        temperature: tau.
        reduction: `"mean"` over the anchors of both directions, `"sum"` over all of them.
        engine, group: See `nearfar.contrast`.

    Source: Cappellazzo et al. 2024, Continual Contrastive Spoken Language Understanding.
    """
    target = near.same_label(labels.where(new, _NO_ANCHOR), labels)
    how: Any = {"temperature": temperature, "reduction": reduction, "empty": "zero", "engine": engine, "group": group}
    both = contrast(items, texts, target, **how) + contrast(texts, items, target, **how)
    return both / 2 if reduction == "mean" else both


@dataclass(frozen=True)
class ContinualWeights:
    """The terms of `ContinualLoss` beside the classification of items.

    Args:
        nspt_weight: Weight of `rehearsal_contrast`; 0: no teacher is needed.
        mm_weight: Weight of `new_items_contrast`.
        sequence_weight: Weight of the decoder's negative log-likelihood per token.
        temperature: tau of both.
        negatives, own_teacher, self_in_denominator, reduction: See `rehearsal_contrast`.
    """

    nspt_weight: float = 0.1
    mm_weight: float = 0.1
    sequence_weight: float = 1.0
    temperature: float = 0.1
    negatives: Literal["student", "teacher"] = "student"
    own_teacher: bool = True
    self_in_denominator: bool = True
    reduction: Literal["mean", "sum"] = "mean"


class ContinualLoss(ContrastLoss):
    """Classification by label vectors, with terms that keep what a model knew before this task.

        loss = mean_i CE( cos(v_i, w) / class_temperature, label_i )
               + nspt_weight * rehearsal_contrast + mm_weight * new_items_contrast

    with the label vectors w of all labels of the head. A term with weight 0 is not computed.

    Args:
        model: The model in training.
        head: Its labels; trained, as `head.vectors`.
        teacher: The model as it was before this task, frozen; None in the first task.
        weights: The weights of the terms, and their settings.
        class_temperature: Temperature of the classification.
        decoder: Learns to write the targets of audio files from the model's frames; trained. None: there are none.
        stored: Vectors of earlier items and their labels, which are classified in every batch instead of rehearsed
            items. They reach the head alone.

    Data: a column of texts, images or audio files, then perhaps one of their texts; and `label`: the number of the
    label, 1 for a rehearsed row, otherwise 0, and the tokens of its target for the decoder.

    Raises:
        ValueError: an invalid argument.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        head: LabelVectors,
        teacher: SentenceTransformer | None = None,
        weights: ContinualWeights = ContinualWeights(),
        class_temperature: float = 0.05,
        decoder: SequenceDecoder | None = None,
        stored: tuple[Float[Tensor, "m d"], Int[Tensor, " m"]] | None = None,
    ) -> None:
        super().__init__(model, temperature=weights.temperature, gather_across_devices=True)
        self.weights, self.class_temperature = weights, class_temperature
        self.head: Any = averaged_over_processes(head)
        self.decoder: Any = None if decoder is None else averaged_over_processes(decoder)
        self.teacher = Guide(teacher, model) if teacher is not None and weights.nspt_weight else None
        vectors, labels = (None, None) if stored is None else stored
        self.register_buffer("stored_vectors", vectors, persistent=False)
        self.register_buffer("stored_labels", labels, persistent=False)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, as the trainer of sentence-transformers passes it."""
        assert labels is not None
        columns = list(sentence_features)
        both = bool(self.weights.mm_weight) and len(columns) > 1
        classes, rehearsal = labels[:, 0].long(), labels[:, 1].bool()
        if self.decoder is None:
            items, *texts = embed(self.model, columns if both else columns[:1], self.mini_batch_num_tokens)
            loss = self.classification(items, classes)
        else:
            outputs = self.model(columns[0])
            items, texts = outputs["sentence_embedding"], embed(self.model, columns[1:]) if both else []
            frames, real = frames_of(outputs)
            written = self.decoder.loss(frames, labels[:, 2:].long(), real)
            loss = self.classification(items, classes) + self.weights.sequence_weight * written
        (group, size), weights = self._processes(), self.weights
        how: Any = {"reduction": weights.reduction, "engine": self.engine, "group": group}
        if self.teacher is not None:
            (known,) = self.teacher(columns[:1])
            settings: Any = {
                name: getattr(weights, name) for name in ("negatives", "own_teacher", "self_in_denominator")
            }
            kept = rehearsal_contrast(items, known, classes, rehearsal, weights.temperature, **settings, **how)
            loss = loss + weights.nspt_weight * self._over(kept, size)
        if both:
            joined = new_items_contrast(items, texts[0], classes, ~rehearsal, weights.temperature, **how)
            loss = loss + weights.mm_weight * self._over(joined, size)
        return loss

    def classification(self, items: Float[Tensor, "n d"], classes: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """The mean cross-entropy of items over all labels, plus that of the stored vectors."""
        loss = self._cross_entropy(items, classes)
        if isinstance(self.stored_vectors, Tensor) and isinstance(self.stored_labels, Tensor):
            loss = loss + self._cross_entropy(self.stored_vectors.to(items), self.stored_labels.to(classes))
        return loss

    def _cross_entropy(self, vectors: Tensor, classes: Tensor) -> Tensor:
        every = torch.arange(len(self.head.names), device=classes.device)
        return contrast(vectors, self.head.vectors, near.same_label(classes, every), temperature=self.class_temperature)

    def get_config_dict(self) -> dict[str, Any]:
        """The entries of this loss in the model card."""
        return asdict(self.weights)

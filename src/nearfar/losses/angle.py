"""AnglE's loss of vectors: in-batch negatives, ranked cosines, ranked angles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import AnglELoss, CoSENTLoss
from torch import Tensor

from nearfar.errors import InputError
from nearfar.losses.contrast import ContrastLoss

__all__ = ["angle_objective", "check_weights"]


def angle_objective(
    model: SentenceTransformer,
    in_batch: float = 1.0,
    cosine: float = 1.0,
    angle: float = 1.0,
    temperature: float = 0.05,
) -> Callable[[Sequence[Tensor], Tensor | None], Tensor]:
    """in_batch * InfoNCE + cosine * CoSENT + angle * CoSENT of angles in complex space.

    Pairs with scores are ranked by their scores and have no in-batch negatives. Pairs without scores have in-batch
    negatives; with hard negatives, an anchor's pair with its positive also ranks above its pairs with its negatives.

    Args:
        model: The model in training.
        in_batch, cosine, angle: Weights of the three parts; a part of weight 0 is not computed.
        temperature: tau of all three.

    Returns:
        A function from one matrix (batch, d) for each column, and the scores (batch,) or None, to the loss.

    Source: Li and Li 2023, AnglE-optimized Text Embeddings. The parts are `ContrastLoss` and, from
    sentence-transformers, `CoSENTLoss` and `AnglELoss`.
    """
    contrast = ContrastLoss(model, temperature=temperature, gather_across_devices=True)
    ranked = [
        (weight, part(model, scale=1 / temperature).compute_loss_from_embeddings)
        for weight, part in ((cosine, CoSENTLoss), (angle, AnglELoss))
        if weight
    ]

    def loss(columns: Sequence[Tensor], labels: Tensor | None) -> Tensor:
        found = columns[0].new_zeros(())
        if labels is None:
            if in_batch:
                found = found + in_batch * contrast.loss_of_vectors(columns, None, None, temperature)
            if len(columns) < 3:
                return found
            columns, labels = _judged(columns)
        for weight, part in ranked:
            found = found + weight * part(list(columns[:2]), labels)
        return found

    return loss


def check_weights(columns: Collection[str], **weights: float) -> None:
    """Check that some part of the loss that these rows allow has a weight.

    Args:
        columns: Names of the columns: `score` for scored pairs, `negative...` for hard negatives.
        **weights: Of in-batch negatives, cosines and angles, in this order, by the names that the message is to have.

    Raises:
        InputError: All weights that count for these rows are 0.
    """
    scored = "score" in columns
    ranked = scored or any(name.startswith("negative") for name in columns)
    counted = [name for name, counts in zip(weights, (not scored, ranked, ranked), strict=True) if counts]
    if not any(weights[name] for name in counted):
        problem = f"all weights that count for these rows are 0: {', '.join(counted)}"
        raise InputError(problem, field=counted[0], remedy="set one above 0")


def _judged(columns: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Anchor, positive and negatives as pairs: 1 for the positive, 0 for each negative."""
    others = columns[1:]
    labels = torch.cat([columns[0].new_full((len(other),), float(k == 0)) for k, other in enumerate(others)])
    return [torch.cat([columns[0]] * len(others)), torch.cat(list(others))], labels

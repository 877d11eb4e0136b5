"""Inverse propensities: weights that correct the bias of a naive choice of pairs.

A naive rule takes texts that share words as positives, and texts that share none as negatives, with a probability e
(the propensity) that depends on the surface. Dividing by e leaves a choice by meaning.

    w+ = sem^a / max(surf, clip)^b             positives: the same meaning in other words
    w- = (1 - sem)^a / max(1 - surf, clip)^b   negatives: the same words with another meaning; 0 where sem >= t_fn

a = b = 0 is uniform, b = 0 uses only meaning, a = b = 1 is the plain inverse propensity. Weights are at most clip^-b.
Computed in logarithms, so that high exponents neither underflow nor overflow.

Source: Miao et al. 2023, DebCSE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["negative_log_weights", "positive_log_weights", "probabilities"]


def positive_log_weights(
    semantic: Float[Tensor, "n k"], surface: Float[Tensor, "n k"], a: float = 4.0, b: float = 1.0, clip: float = 0.1
) -> Float[Tensor, "n k"]:
    """log w+ of the candidates of each anchor.

    Args:
        semantic: Cosines; negative ones count as 0, and -inf marks an empty slot.
        surface: In [0, 1].
        a: Exponent of the meaning. With a small exponent and a weak teacher, unrelated texts win because they share few
            words.
        b: Exponent of the propensity.
        clip: Minimum propensity, in (0, 1].
    """
    weight = _log_weights(semantic.clamp(0, 1), surface, a, b, clip)
    return weight.masked_fill(semantic == -torch.inf, -torch.inf)


def negative_log_weights(
    semantic: Float[Tensor, "n k"],
    surface: Float[Tensor, "n k"],
    a: float = 1.0,
    b: float = 1.0,
    clip: float = 0.1,
    t_fn: float = 0.75,
) -> Float[Tensor, "n k"]:
    """log w- of the candidates of each anchor; -inf where `semantic >= t_fn` (probably a false negative).

    Args:
        semantic, surface, clip: As for the positives.
        a: Exponent of the difference in meaning.
        b: Exponent of the propensity.
        t_fn: Cosine from which a candidate counts as a false negative. 0.75 suits all-MiniLM; cosines of SimCSE are
            higher: 0.9.
    """
    weight = _log_weights(1 - semantic.clamp(0, 1), 1 - surface, a, b, clip)
    return weight.masked_fill((semantic >= t_fn) | (semantic == -torch.inf), -torch.inf)


def probabilities(log_weights: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Weights normalized to sum to 1 in each row; a row without candidates is all zero."""
    return torch.softmax(log_weights, dim=-1).nan_to_num(0.0)


def _log_weights(wanted: Tensor, propensity: Tensor, a: float, b: float, clip: float) -> Tensor:
    if not 0 < clip <= 1:
        raise ValueError(f"clip must be in (0, 1], got {clip}")
    # xlogy: with an exponent of 0 all weights are equal, also for a similarity of 0.
    exponent = torch.tensor(a, dtype=wanted.dtype, device=wanted.device)
    return torch.xlogy(exponent, wanted) - b * propensity.clamp(min=clip).log()

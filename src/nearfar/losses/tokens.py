"""The contrastive term of SimCTG: it pushes the token states of a text apart.

Su et al. 2022, A Contrastive Framework for Neural Text Generation (arXiv 2202.06417).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


def self_contrast(
    states: Float[Tensor, "b t d"], margin: float = 0.5, real: Bool[Tensor, "b t"] | None = None
) -> Float[Tensor, ""]:
    """Mean of max(0, margin - 1 + cos(h_i, h_j)) over all pairs i != j of tokens of the same text.

    0 if all cosines are at most 1 - margin; `margin` if all states have the same direction. Compared with `contrast` it
    has a hinge instead of the softmax: each token is its own positive with cosine 1, and the other tokens of its text
    are its negatives.

    Args:
        states: States of a layer; their norm has no effect.
        margin: rho.
        real: False for padding, which is ignored.
    """
    unit = F.normalize(states.float(), dim=-1)
    pairs = ~torch.eye(states.shape[1], dtype=torch.bool, device=states.device).expand(len(states), -1, -1)
    if real is not None:
        pairs = pairs & real[:, None] & real[:, :, None]
    hinge = F.relu(unit @ unit.mT - (1 - margin))
    return hinge.masked_fill(~pairs, 0.0).sum() / pairs.sum().clamp(min=1)


class SelfContrast:
    """`self_contrast` of the last layer's states, as a term of `LanguageLoss` (its blocks have no padding).

    Args:
        margin: rho.
        weight: Factor of the term.
    """

    def __init__(self, margin: float = 0.5, weight: float = 1.0) -> None:
        self.margin, self.weight = margin, weight

    def __call__(self, output: Any, tokens: Tensor) -> Float[Tensor, ""]:
        """The term for an output of the model with hidden states."""
        return self.weight * self_contrast(output.hidden_states[-1], self.margin)

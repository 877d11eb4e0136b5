"""Keeping the token states of one text apart: the contrastive term of SimCTG.

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
    """Mean of max(0, margin - 1 + cos(h_i, h_j)) over the pairs i != j of one text's tokens, of all texts.

    0 if no two tokens have a cosine above 1 - margin; `margin` if all point one way. As an instance of `contrast` it is
    the hinge in the softmax's place: each token is its own positive at cosine 1, its text's others are its negatives.

    Args:
        states: A layer's states; the norm does not count.
        margin: rho.
        real: False on padding, which takes no part.
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
        weight: What the term is multiplied by.
    """

    def __init__(self, margin: float = 0.5, weight: float = 1.0) -> None:
        self.margin, self.weight = margin, weight

    def __call__(self, output: Any, tokens: Tensor) -> Float[Tensor, ""]:
        """Called with what the model put out."""
        return self.weight * self_contrast(output.hidden_states[-1], self.margin)

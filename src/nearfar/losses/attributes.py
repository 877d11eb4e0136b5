"""A salient code with one dimension for each known attribute: rows with similar attributes are near in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from nearfar.losses.kernel_density import spread

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

__all__ = ["attribute_loss", "attribute_pull"]

#: Squared width of the kernel over a continuous attribute from 0 to 1.
WIDTH = 0.025


def attribute_pull(s: Float[Tensor, " n"], attribute: Float[Tensor, " n"], discrete: bool = False) -> Float[Tensor, ""]:
    """The mean of w_ij (s_i - s_j)^2 over pairs, where w_ij says how similar the attributes are; 0 for one row.

    Args:
        s: One dimension of the salient code.
        attribute: The attribute of each row; w is exp(-(a_i - a_j)^2 / (2 * 0.025)).
        discrete: w is 1 for equal attributes, else 0.
    """
    n = len(s)
    if n < 2:
        return s.sum() * 0
    difference = attribute[:, None] - attribute
    weights = (difference == 0).to(s) if discrete else torch.exp(-(difference**2) / (2 * WIDTH)).to(s)
    return (weights * (s[:, None] - s) ** 2).sum() / (n * (n - 1))


def attribute_loss(
    s: Float[Tensor, "n k"],
    target: Bool[Tensor, " n"],
    attributes: Float[Tensor, "n k"],
    discrete: Sequence[bool],
    temperature: float = 0.5,
) -> Float[Tensor, ""]:
    """The mean over attributes of (pull + distance of the background from 0) / 2 + spread.

    Args:
        s: Salient codes, one dimension for each attribute; those of the background should be 0.
        target: The rows that have attributes.
        attributes: The attributes, continuous ones scaled to 0..1; ignored for other rows.
        discrete: For each attribute, whether only equal values are similar.
        temperature: tau of the spread, and of the distance of a discrete attribute.

    Source: Louiset et al. 2024 (SepCLR), with supervised attributes.
    """
    terms = []
    for k, exact in enumerate(discrete):
        column, background = s[:, k], s[~target, k]
        near = attribute_pull(column[target], attributes[target, k], exact)
        width = temperature if exact else WIDTH
        away = (background**2).sum() / max(1, len(background)) / (2 * width)
        masked = torch.where(target, column, torch.zeros_like(column))[:, None]
        terms.append((near + away) / 2 + (spread(masked, temperature) if len(s) > 1 else 0))
    return torch.stack(terms).mean()

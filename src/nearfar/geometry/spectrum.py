"""How the variance of a set of vectors is spread over directions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.geometry.space import explained_variance

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.geometry._rows import Vectors


@torch.no_grad()
def spectrum(x: Float[Vectors, "n d"]) -> Float[Tensor, " d"]:
    """The share of variance of each principal component, the largest first; they sum to 1.

    Raises:
        InputError: all directions are the same: there is no variance.
    """
    together = explained_variance(x)
    return torch.diff(together, prepend=together.new_zeros(1)).clamp_(min=0)


def iso_score(x: Float[Vectors, "n d"]) -> float:
    """How evenly the principal components share the variance: 1 where all have the same share, 0 where one has all.

    It is the fraction of dimensions that are used evenly, scaled to [0, 1]. Unlike `isotropy` it does not depend on the
    mean of the vectors: a narrow cone with a round cross-section scores high. It requires at least two dimensions, and
    many more vectors than dimensions: n vectors span at most n - 1.

    Raises:
        InputError: one dimension, or all directions are the same.

    Source: Rudman, Gillman, Rayne, Eickhoff 2022, IsoScore, here on unit vectors.
    """
    variances = spectrum(x)
    d = len(variances)
    if d < 2:
        raise InputError(
            "isotropy of vectors of one dimension is not defined", field="x", remedy="pass at least 2 dimensions"
        )
    scaled = math.sqrt(d) * variances / variances.norm()
    defect = float((scaled - 1).norm()) / math.sqrt(2 * (d - math.sqrt(d)))
    used = (d - defect**2 * (d - math.sqrt(d))) ** 2 / d**2
    return min(1.0, max(0.0, (d * used - 1) / (d - 1)))

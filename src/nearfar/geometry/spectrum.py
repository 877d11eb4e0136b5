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
    """Which part of the variance each principal component holds, the largest first; they sum to 1.

    Raises:
        InputError: all directions are the same, and there is no variance to share.
    """
    together = explained_variance(x)
    return torch.diff(together, prepend=together.new_zeros(1)).clamp_(min=0)


def iso_score(x: Float[Vectors, "n d"]) -> float:
    """How evenly the principal components share the variance: 1 where all hold the same, 0 where one holds all.

    It is the share of dimensions that are used evenly, scaled to [0, 1], and unlike `isotropy` it does not see where
    the vectors' mean lies: a narrow cone whose inside is round scores high. At least two dimensions, and many more
    vectors than dimensions: n of them span no more than n - 1.

    Raises:
        InputError: one dimension, or all directions are the same.

    Source: Rudman, Gillman, Rayne, Eickhoff 2022, IsoScore, here on unit vectors.
    """
    variances = spectrum(x)
    d = len(variances)
    if d < 2:
        raise InputError("vectors of one dimension have no isotropy", field="x", remedy="give 2 dimensions or more")
    scaled = math.sqrt(d) * variances / variances.norm()
    defect = float((scaled - 1).norm()) / math.sqrt(2 * (d - math.sqrt(d)))
    used = (d - defect**2 * (d - math.sqrt(d))) ** 2 / d**2
    return min(1.0, max(0.0, (d * used - 1) / (d - 1)))

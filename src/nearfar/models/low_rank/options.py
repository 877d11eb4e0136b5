"""How linear layers are taken apart, without any tensor: recipes have these options, and must load fast.

Li et al. 2025, LOST: Low-rank and Sparse Pre-training for Large Language Models (arXiv 2508.02668).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nearfar.settings import Count, Fraction, check_ranges


@dataclass(frozen=True)
class LowRankSparse:
    """How linear layers are taken apart.

    Args:
        rank: r, columns of B and rows of A.
        sparsity: Part of the input channels that keep dense weights (0.05 keeps 5%); 0: the low-rank part alone,
            without the blend.
        gamma: Weight of the low-rank part; the sparse part has the rest.
        activation: phi, between the factors.
        factors: Where B and A start: `svd`: at the best approximation of the initial weight of that rank. `cola`: at
            random, as Liu et al. 2025, CoLA.
        channels: Which channels are kept: `residual`: those in which the singular directions beyond the r-th have most
            energy. `random`: any.
        select: The directions looked at: `normal`: those right after the r-th. `inverse`: the last ones.
        scored: How many directions are looked at.
        values: Where the kept channels' weights start: the columns of the `original` weight, or of the `residual`.

    Raises:
        InputError: a number out of its range.
    """

    rank: Count
    sparsity: Fraction = 0.05
    gamma: Fraction = 0.7
    activation: Literal["silu", "identity"] = "silu"
    factors: Literal["svd", "cola"] = "svd"
    channels: Literal["residual", "random"] = "residual"
    select: Literal["normal", "inverse"] = "normal"
    scored: Count = 256
    values: Literal["original", "residual"] = "original"

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def blend(self) -> float:
        """Weight of the low-rank part: gamma, or 1 where there is no other."""
        return self.gamma if self.sparsity else 1.0

    def kept(self, inputs: int) -> int:
        """m, the number of channels that are kept out of `inputs`."""
        return max(1, int(self.sparsity * inputs)) if self.sparsity else 0

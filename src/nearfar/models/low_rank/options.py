"""Options for the decomposition of linear layers; without torch, because recipes import them and must load fast.

Li et al. 2025, LOST: Low-rank and Sparse Pre-training for Large Language Models (arXiv 2508.02668).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nearfar.settings import Count, Fraction, check_ranges


@dataclass(frozen=True)
class LowRankSparse:
    """Options for the decomposition of linear layers.

    Args:
        rank: Rank r: columns of B and rows of A.
        sparsity: Fraction of the input channels with dense weights (0.05 keeps 5%); 0: only the low-rank part, without
            blending.
        gamma: Weight of the low-rank part; the sparse part has 1 - gamma.
        activation: Activation phi between the factors.
        factors: Initialisation of B and A: `svd`: the best approximation of the initial weight with this rank. `cola`:
            random, as in Liu et al. 2025, CoLA.
        channels: Which channels are kept: `residual`: those in which the singular directions beyond the r-th have the
            most energy. `random`: random channels.
        select: Directions for scoring channels: `normal`: those right after the r-th. `inverse`: the last ones.
        scored: Number of directions for scoring channels.
        values: Initial weights of the kept channels: the columns of the `original` weight, or of the `residual`.

    Raises:
        InputError: A number is out of range.
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
        """Weight of the low-rank part: gamma, or 1 if there is no sparse part."""
        return self.gamma if self.sparsity else 1.0

    def kept(self, inputs: int) -> int:
        """The number m of channels that are kept out of `inputs`."""
        return max(1, int(self.sparsity * inputs)) if self.sparsity else 0

"""Context-aware decoding: amplify the change that a text before the prompt makes.

Source: Shi et al. 2023, Trusting Your Evidence: Hallucinate Less with Context-aware Decoding (arXiv 2305.14739).
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfar.decoding.layer_contrast import LayerContrast
from nearfar.decoding.method import Method
from nearfar.settings import Fraction, NonNegative, check_ranges


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        context: Text before the prompt: evidence, or an instruction.
        weight: Weight of the change: 0 ignores the context, 1 is the model with the context, and more amplifies it.
        alpha: Plausibility threshold: tokens below this fraction of the top token's probability are excluded.
    """

    context: str = "Answer only with verified facts."
    weight: NonNegative = 1.5
    alpha: Fraction = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)


def _contrast(options: Options, layers: int) -> LayerContrast:
    return LayerContrast(guidance_weight=options.weight, guidance=options.context, alpha=options.alpha)


METHOD = Method("cad", "amplifies the effect of a context before the prompt", Options, contrast=_contrast)

"""Induce-then-contrast decoding: subtract the log-probabilities of a model that hallucinates.

Source: Zhang et al. 2023, Alleviating Hallucinations of Large Language Models through Induced Hallucinations (arXiv
2312.15710). `nearfar train lol` makes such a model.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfar.decoding.amateur import FALSE
from nearfar.decoding.layer_contrast import LayerContrast
from nearfar.decoding.method import Method
from nearfar.settings import Fraction, NonNegative, check_ranges


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        amateur_weight: Weight of the amateur's log-probabilities.
        alpha: Plausibility threshold: tokens below this fraction of the top token's probability are excluded. Without
            it, tokens that are improbable in both models may win.
        amateur_prompt: Instruction of `--amateur prompt`.
    """

    amateur_weight: NonNegative = 1.0
    alpha: Fraction = 0.1
    amateur_prompt: str = FALSE

    def __post_init__(self) -> None:
        check_ranges(self)


def _contrast(options: Options, layers: int) -> LayerContrast:
    return LayerContrast(amateur_weight=options.amateur_weight, alpha=options.alpha)


METHOD = Method(
    "icd", "the model's log-probabilities minus those of an amateur", Options, contrast=_contrast, amateur=True
)

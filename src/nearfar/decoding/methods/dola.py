"""Decoding by contrasting layers: subtract the log-probabilities of a lower layer of the same model.

Source: Chuang et al. 2023, DoLa: Decoding by Contrasting Layers Improves Factuality in Large Language Models (arXiv
2309.03883). At each position, the layer is the candidate whose distribution differs most from the last one's.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfar.decoding.exits import layers_named
from nearfar.decoding.layer_contrast import LayerContrast
from nearfar.decoding.method import Method
from nearfar.settings import Fraction, check_ranges


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        layers: Candidate layers: `high` or `low` for every second layer of the upper or lower half, `top` for those of
            the last quarter, or numbers, e.g. `16,18,20`. The authors use high layers for short answers, and low ones
            for long answers.
        alpha: Plausibility threshold: tokens below this fraction of the top token's probability are excluded.
        norm: Whether the states of lower layers pass the final norm before the head. The authors' code does without.
    """

    layers: str = "high"
    alpha: Fraction = 0.1
    norm: bool = True

    def __post_init__(self) -> None:
        check_ranges(self)


def _contrast(options: Options, layers: int) -> LayerContrast:
    return LayerContrast(
        layers=layers_named(options.layers, layers),
        select="js",
        early_exit_weight=1.0,
        alpha=options.alpha,
        norm=options.norm,
    )


METHOD = Method("dola", "the model's log-probabilities minus those of a lower layer", Options, contrast=_contrast)

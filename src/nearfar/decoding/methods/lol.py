"""Lower layers matter: a contrast with an amateur at the last and at lower layers, and an instruction to be truthful.

Source: Chen et al. 2024, Lower Layers Matter: Alleviating Hallucination via Multi-Layer Fusion Contrastive Decoding
with Truthfulness Refocused (arXiv 2408.08769). `nearfar train lol` makes an amateur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nearfar.decoding.amateur import FALSE
from nearfar.decoding.exits import layers_named
from nearfar.decoding.layer_contrast import Fusion, LayerContrast
from nearfar.decoding.method import Method
from nearfar.settings import Fraction, NonNegative, check_ranges


@dataclass(frozen=True)
class Options:
    """Settings. `layer_weight=0 refocus_weight=0` is the decoding `icd`.

    Args:
        amateur_weight: Weight of the amateur's log-probabilities.
        layers: Lower layers: `top`, `high` or `low` for every second layer of the last quarter, the upper half or the
            lower half, or numbers, e.g. `24,26,28,30`.
        select: `all` of these layers, or `js`: at each position the one whose distribution differs most from the last
            layer's.
        layer_weight: omega, the weight of the contrast at lower layers.
        fusion: `add` it to the contrast at the last layer, interpolate (`convex`), or weight each layer by its
            certainty (`entropy`).
        refocus_weight: Weight of the change that the instruction makes.
        refocus: Instruction before the prompt.
        alpha: Plausibility threshold: tokens below this fraction of the top token's probability are excluded.
        norm: Whether the states of lower layers pass the final norm before the head.
        amateur_prompt: Instruction of `--amateur prompt`.
    """

    amateur_weight: NonNegative = 1.0
    layers: str = "top"
    select: Literal["all", "js"] = "all"
    layer_weight: NonNegative = 0.5
    fusion: Fusion = "add"
    refocus_weight: NonNegative = 0.5
    refocus: str = "Answer only with verified facts."
    alpha: Fraction = 0.1
    norm: bool = True
    amateur_prompt: str = FALSE

    def __post_init__(self) -> None:
        check_ranges(self)


def _contrast(options: Options, layers: int) -> LayerContrast:
    return LayerContrast(
        amateur_weight=options.amateur_weight,
        layers=layers_named(options.layers, layers),
        select=options.select,
        layer_weight=options.layer_weight,
        fusion=options.fusion,
        guidance_weight=options.refocus_weight,
        guidance=options.refocus,
        alpha=options.alpha,
        norm=options.norm,
    )


METHOD = Method(
    "lol",
    "a contrast with an amateur at several layers, and refocused on facts",
    Options,
    contrast=_contrast,
    amateur=True,
)

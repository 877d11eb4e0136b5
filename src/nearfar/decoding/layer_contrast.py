"""Contrasts of next-token distributions: a model with a worse one, with its own lower layers, and with guidance.

All contrastive decodings here are one function of log-probabilities with different settings, see `LayerContrast`:

    F_l = log p_l(expert) - a log p_l(amateur)                        l: a layer; L: the last one
    F = fusion of F_L and F_l of the lower layers
        - b log p_m(expert)                                           m: one of the lower layers
        + c (log p_L(expert | guidance) - log p_L(expert))
    F = -1000 where p_L(expert) < alpha max p_L(expert)

| method | source | settings |
| --- | --- | --- |
| ICD | Zhang et al. 2023 (arXiv 2312.15710) | a |
| LOL | Chen et al. 2024 (arXiv 2408.08769) | a, lower layers, c |
| DoLa | Chuang et al. 2023 (arXiv 2309.03883) | b = 1 |
| CAD | Shi et al. 2023 (arXiv 2305.14739) | c |
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.settings import Fraction, NonNegative, check_ranges

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

__all__ = ["MASKED", "Fusion", "LayerContrast", "contrasted", "jensen_shannon", "plausible"]

#: The score of an implausible token. It is finite, so that the score of an answer that contains one is defined.
MASKED = -1000.0

Fusion = Literal["add", "convex", "entropy"]


@dataclass(frozen=True)
class LayerContrast:
    """Settings of a contrast. The default is no contrast: the expert's log-probabilities.

    Args:
        amateur_weight: a, the weight of the amateur's log-probabilities.
        layers: Lower layers, from 1 (after the first block) to the number of layers.
        select: Which of these count: `all`, or `js`, at each position the one whose distribution of the expert has
            the largest Jensen-Shannon divergence from that of the last layer.
        layer_weight: omega, the weight of the lower layers.
        fusion: `add`: F_L + omega mean F_l; `convex`: (1 - omega) F_L + omega mean F_l; `entropy`: weights proportional
            to exp(-entropy of p_l(expert)) over the lower layers and the last one, without omega.
        early_exit_weight: b, the weight of the expert's own lower layers (their mean, or the one selected by `js`).
        guidance_weight: c, the weight of the change that the guidance makes.
        guidance: Text before the prompt, such as an instruction.
        alpha: Plausibility threshold: tokens below this fraction of the top token's probability get -1000.
        norm: Whether the states of lower layers pass the final norm before the head; DoLa's code does without.
    """

    amateur_weight: NonNegative = 0.0
    layers: tuple[int, ...] = ()
    select: Literal["all", "js"] = "all"
    layer_weight: NonNegative = 0.0
    fusion: Fusion = "add"
    early_exit_weight: NonNegative = 0.0
    guidance_weight: NonNegative = 0.0
    guidance: str = ""
    alpha: Fraction = 0.0
    norm: bool = True

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.fusion == "convex" and self.layer_weight > 1:
            problem = f"invalid value {self.layer_weight:g}: must be 0 to 1 with fusion=convex"
            raise InputError(problem, field="layer_weight")

    @property
    def fuses(self) -> bool:
        """Whether lower layers are fused."""
        return bool(self.layers) and (self.fusion == "entropy" or self.layer_weight > 0)

    @property
    def expert_layers(self) -> tuple[int, ...]:
        """The lower layers of the expert that are needed."""
        return self.layers if self.fuses or self.early_exit_weight else ()

    @property
    def amateur_layers(self) -> tuple[int, ...]:
        """The lower layers of the amateur that are needed."""
        return self.layers if self.fuses and self.amateur_weight else ()

    @property
    def guided(self) -> bool:
        """Whether a pass with the guidance is needed; empty guidance changes nothing."""
        return bool(self.guidance_weight and self.guidance)


def contrasted(
    settings: LayerContrast,
    expert: Float[Tensor, "*b 1+l v"],
    amateur: Float[Tensor, "*b 1+l v"] | None = None,
    guided: Float[Tensor, "*b v"] | None = None,
) -> Float[Tensor, "*b v"]:
    """The scores of all next tokens. They are not normalized; a softmax gives the distribution.

    Args:
        settings: The contrast.
        expert: Log-probabilities of the last layer, then those of `settings.expert_layers`.
        amateur: The same of the amateur for `settings.amateur_layers`; required if `amateur_weight` is not 0.
        guided: Log-probabilities of the expert's last layer after the guidance; required if `settings.guided`.
    """
    final, lower = expert[..., 0, :], expert[..., 1:, :]
    chosen = None
    if settings.select == "js" and lower.shape[-2]:
        chosen = jensen_shannon(final[..., None, :], lower).argmax(-1)
        lower = _layer(lower, chosen)
    scores = final
    if settings.amateur_weight:
        assert amateur is not None
        scores = final - settings.amateur_weight * amateur[..., 0, :]
    if settings.fuses:
        contrasts = lower
        if settings.amateur_weight:
            assert amateur is not None
            worse = amateur[..., 1:, :]
            contrasts = lower - settings.amateur_weight * (worse if chosen is None else _layer(worse, chosen))
        scores = _fused(settings, scores, contrasts, final, lower)
    if settings.early_exit_weight:
        scores = scores - settings.early_exit_weight * lower.mean(-2)
    if settings.guided:
        assert guided is not None
        scores = scores + settings.guidance_weight * (guided - final)
    if settings.alpha:
        scores = torch.where(plausible(final, settings.alpha), scores, MASKED)
    return scores


def plausible(log_p: Float[Tensor, "*b v"], alpha: float) -> Bool[Tensor, "*b v"]:
    """Whether each token has at least `alpha` times the probability of the most probable one."""
    top = log_p.amax(-1, keepdim=True)
    # The top token is always plausible: with alpha 1, rounding must not exclude it.
    return (log_p >= top + log(alpha)) if 0 < alpha < 1 else log_p >= top if alpha else torch.ones_like(log_p).bool()


def jensen_shannon(p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b"]:
    """The Jensen-Shannon divergence of distributions given as log-probabilities, in nats: from 0 to log 2.

    (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2. DoLa's code takes the mean over the vocabulary of KL(m || p),
    which is a different number and, rarely, a different choice of layer.
    """
    p, q = torch.broadcast_tensors(p, q)
    middle = torch.logaddexp(p, q) - log(2)
    to_middle = [(each.exp() * (each - middle)).nan_to_num(0.0).sum(-1) for each in (p, q)]
    return (to_middle[0] + to_middle[1]) / 2


def _layer(values: Float[Tensor, "*b l v"], index: Int[Tensor, "*b"]) -> Float[Tensor, "*b 1 v"]:
    return values.gather(-2, index[..., None, None].expand(*values.shape[:-2], 1, values.shape[-1]))


def _fused(
    settings: LayerContrast,
    final_contrast: Float[Tensor, "*b v"],
    contrasts: Float[Tensor, "*b l v"],
    final: Float[Tensor, "*b v"],
    lower: Float[Tensor, "*b l v"],
) -> Float[Tensor, "*b v"]:
    if settings.fusion == "entropy":
        every = torch.cat([final[..., None, :], lower], -2)
        negative_entropy = (every.exp() * every).nan_to_num(0.0).sum(-1)
        weights = negative_entropy.softmax(-1)
        return (weights[..., None] * torch.cat([final_contrast[..., None, :], contrasts], -2)).sum(-2)
    omega = settings.layer_weight
    kept = 1 - omega if settings.fusion == "convex" else 1.0
    return kept * final_contrast + omega * contrasts.mean(-2)

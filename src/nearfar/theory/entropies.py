"""Categorical entropies: how far a law is from a copy that always agrees with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.theory.laws import Laws, as_laws, sum_over

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Divergence = Literal["kl", "total variation", "hellinger", "chi squared", "renyi"]


@torch.no_grad()
def categorical_entropy(
    laws: Laws | Float[Tensor, "n v"], divergence: Divergence = "kl", order: float = 0.5
) -> Float[Tensor, " n"]:
    """D( sum_w p(w) delta_(w,w) || p x p ): the divergence of two equal draws from two independent ones.

    0 where a law is deterministic. In closed form: `kl` is Shannon's entropy, `total variation` 1 - sum p^2,
    `hellinger` (1 - BC) 1 - sum p^1.5, `chi squared` the number of possible tokens minus 1, and `renyi` of order a
    Renyi's entropy of order 2 - a. The reverse KL divergence is infinite for all laws but deterministic ones.

    Args:
        laws: Next-token laws, or a matrix of probabilities.
        divergence: Its name.
        order: The order of `renyi`: above 0 and below 2, not 1.

    Raises:
        InputError: An unknown divergence, or an order out of range.

    Source: Zhang 2025 (arXiv 2507.19247), Definition of categorical entropy; the closed forms follow from it.
    """
    laws = as_laws(laws)
    if divergence == "kl":
        return laws.entropies()
    if divergence == "total variation":
        return 1 - sum_over(laws, torch.square)
    if divergence == "hellinger":
        return 1 - sum_over(laws, lambda p: p.pow(1.5))
    if divergence == "chi squared":
        return sum_over(laws, lambda p: (p > 0).to(p)) - 1
    if divergence == "renyi":
        if not (0 < order < 2 and order != 1):
            problem = f"invalid value {order:g}: must be above 0 and below 2, and not 1"
            raise InputError(problem, field="order", remedy="use kl for the limit at 1")
        return sum_over(laws, lambda p: torch.where(p > 0, p.pow(2 - order), 0.0)).log() / (order - 1)
    choices = "kl, total variation, hellinger, chi squared or renyi"
    raise InputError(f"unknown divergence {divergence!r}", field="divergence", remedy=f"use {choices}")


@torch.no_grad()
def stochasticity_gap(laws: Laws | Float[Tensor, "n v"], tokens: Int[Tensor, " n"]) -> float:
    """Mean entropy of the laws minus their NLL on the tokens that followed, in nats.

    NLL = H(data) + E KL(data || model), so the gap of the true law is 0 in expectation. Below 0 the model is
    over-confident on these texts: its laws are less random than their errors.

    Args:
        laws: Next-token laws, or a matrix of probabilities.
        tokens: The token that followed each context.
    """
    laws = as_laws(laws)
    return float((laws.entropies() + laws.log_probability(tokens)).mean())

"""What a drafter gains that proposes several tokens, of which the model verifies all in one pass.

Leviathan, Kalman, Matias 2023, Fast Inference from Transformers via Speculative Decoding (arXiv 2211.17192).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float


@torch.no_grad()
def acceptance_rate(model: Float[Tensor, "*batch v"], draft: Float[Tensor, "*batch v"]) -> Float[Tensor, "*batch"]:
    """sum_w min(p, q) = 1 - TV(p, q): how often a token drawn from the draft is accepted.

    At least 1 - sqrt(KL(p || q) / 2), by Pinsker's inequality.

    Args:
        model: p, the law of the model that verifies.
        draft: q, the law of the drafter.
    """
    return torch.minimum(model, draft).sum(-1)


def expected_tokens(rates: Sequence[float]) -> float:
    """Expected number of tokens of one verification, 1 + a_1 + a_1 a_2 + ...: the accepted ones and one of the model.

    With equal rates a of g drafts it is (1 - a^(g+1)) / (1 - a). Acceptances are taken as independent.

    Args:
        rates: The acceptance rate of each drafted token, in order.

    Raises:
        InputError: A rate is not in [0, 1].
    """
    total, reached = 1.0, 1.0
    for rate in rates:
        if not 0 <= rate <= 1:
            raise InputError(f"invalid value {rate:g}: must be from 0 to 1", field="rates")
        reached *= rate
        total += reached
    return total


def speed_up(rates: Sequence[float], cost: float = 0.0) -> float:
    """Tokens per time, as a multiple of one token for each pass of the model.

    Args:
        rates: The acceptance rate of each drafted token, in order.
        cost: Time of drafting one token, as a fraction of a pass of the model.
    """
    return expected_tokens(rates) / (1 + cost * len(rates))

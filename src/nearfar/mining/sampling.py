"""Sampling from weighted lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def draw(
    log_weights: Float[Tensor, "n k"], count: int = 1, generator: torch.Generator | None = None
) -> Int[Tensor, "n count"]:
    """Sample columns of each row in proportion to exp(log_weights), without replacement.

    The Gumbel trick: the argmax of log w + noise is a sample from w / sum(w), without normalization.

    Args:
        log_weights: -inf is never sampled.
        count: Number of samples per row.
        generator: Random generator on the device of the weights; the global one when None.

    Returns:
        Columns in the order of sampling; -1 if a row has no column left.

    Raises:
        ValueError: `count` below 1, or NaN or +inf among the weights.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if not bool((log_weights < torch.inf).all()):
        raise ValueError("log_weights must not contain NaN or +inf")
    noise = torch.empty_like(log_weights).exponential_(generator=generator)
    found = (log_weights - noise.log()).topk(min(count, log_weights.shape[1]), dim=1)
    columns = found.indices.masked_fill(found.values == -torch.inf, -1)
    return torch.nn.functional.pad(columns, (0, count - columns.shape[1]), value=-1)

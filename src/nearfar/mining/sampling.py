"""Drawing from weighted lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def draw(
    log_weights: Float[Tensor, "n k"], count: int = 1, generator: torch.Generator | None = None
) -> Int[Tensor, "n count"]:
    """Draw columns of each row in proportion to exp(log_weights), without replacement.

    The Gumbel trick: the largest of log w + noise is a draw from w / sum(w), and nothing has to be normalised.

    Args:
        log_weights: -inf is never drawn.
        count: Draws a row.
        generator: Decides the noise; on the device of the weights. The global one when None.

    Returns:
        Columns in the order drawn; -1 where a row has nothing left to draw.

    Raises:
        ValueError: count below 1, or NaN or +inf among the weights.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if not bool((log_weights < torch.inf).all()):
        raise ValueError("log_weights must hold neither NaN nor +inf")
    noise = torch.empty_like(log_weights).exponential_(generator=generator)
    found = (log_weights - noise.log()).topk(min(count, log_weights.shape[1]), dim=1)
    columns = found.indices.masked_fill(found.values == -torch.inf, -1)
    return torch.nn.functional.pad(columns, (0, count - columns.shape[1]), value=-1)

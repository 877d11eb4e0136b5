"""A forward pass with the cache that computes only the logits that are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfar.models.head import picked_logits

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from nearfar.models.head import Pick


def forward(model: Any, pick: Pick, **inputs: Any) -> Float[Tensor, "rows positions v"]:
    """See `nearfar.models.head.picked_logits`.

    A choice among candidates by their states requires the logits of only one of them.
    """
    return picked_logits(model, pick, use_cache=True, **inputs)

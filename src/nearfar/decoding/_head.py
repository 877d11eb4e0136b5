"""Access to the input of a language model's head, and a forward pass that computes only the logits that are needed."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nearfar.models.head import before_head, without_head

if TYPE_CHECKING:
    from jaxtyping import Float

    from nearfar.models.head import Pick


def forward(model: Any, pick: Pick, **inputs: Any) -> Float[Tensor, "rows positions v"]:
    """A forward pass with the cache; returns float32 logits of the states that `pick` returns.

    The head is a large part of a small model's computation, and a choice among candidates by their states requires
    the logits of only one of them.

    Raises:
        InputError: The model has no head whose input can be accessed.
    """
    seen = False

    def watched(states: Tensor) -> Tensor:
        nonlocal seen
        seen = True
        return pick(states)

    if "logits_to_keep" in signature(model.forward).parameters:
        inputs["logits_to_keep"] = 0
    with before_head(model, watched):
        logits = model(**inputs, use_cache=True, return_dict=True).logits
    if not seen:
        raise without_head(model)
    return logits.float()

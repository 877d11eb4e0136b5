"""Access to the input of a language model's head, and a forward pass that computes only the logits that are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

#: From the last layer's states after the final norm, (rows, positions, d), to those for which logits are computed.
Pick = Callable[[Tensor], Tensor]


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
    with _before_head(model, watched):
        logits = model(**inputs, use_cache=True, return_dict=True).logits
    if not seen:
        raise _without_head(model)
    return logits.float()


@contextmanager
def _before_head(model: Any, pick: Pick) -> Iterator[None]:
    head = model.get_output_embeddings()
    if head is None:
        raise _without_head(model)
    handle = head.register_forward_pre_hook(lambda _, states: (pick(states[0]),))
    try:
        yield
    finally:
        handle.remove()


def _without_head(model: Any) -> InputError:
    return InputError(f"{type(model).__name__} has no head whose input can be accessed", remedy="use another decoding")

"""The states that a language model's head reads, and a forward pass that gives the head only those that matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

#: From the last layer's states after the final norm, (rows, positions, d), to those that the head is to read.
Pick = Callable[[Tensor], Tensor]


def forward(model: Any, pick: Pick, **inputs: Any) -> Float[Tensor, "rows positions v"]:
    """One pass with the cache; logits, in float32, of the states that `pick` returned.

    A head of tens of thousands of tokens is a good part of a small model's work, and who chooses among candidates by
    their states needs the logits of one of them alone.

    Raises:
        InputError: the model has no head that can be watched.
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
    return InputError(f"{type(model).__name__} has no head whose input can be read", remedy="use another decoding")

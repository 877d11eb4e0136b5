"""The head of a language model: its input, and the states of all layers before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

#: From the last layer's states after the final norm, (rows, positions, d), to those for which logits are computed.
Pick = Callable[[Tensor], Tensor]
#: Logits are a linear function of the head's input up to this relative error.
_TOLERANCE = 0.01


class StatesAndHead(NamedTuple):
    """The states of one text, and the linear head that makes logits of the last ones.

    Args:
        layers: The output of the embeddings and of each layer but the last; then the input of the head, scaled so that
            logits are `head @ state + bias`.
        head: Weights of the head.
        bias: Its bias, if it has one.
    """

    layers: tuple[Float[Tensor, "t d"], ...]
    head: Float[Tensor, "v d"]
    bias: Float[Tensor, " v"] | None


@contextmanager
def before_head(model: Any, pick: Pick) -> Iterator[None]:
    """Replace the input of the head by what `pick` returns for it.

    Raises:
        InputError: The model has no head whose input can be accessed.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise without_head(model)
    handle = head.register_forward_pre_hook(lambda _, states: (pick(states[0]),))
    try:
        yield
    finally:
        handle.remove()


def picked_logits(model: Any, pick: Pick, *, owner: Any = None, **inputs: Any) -> Float[Tensor, "rows positions v"]:
    """A forward pass that computes only the logits of the states that `pick` returns, in float32.

    The head is a large part of a small model's computation, and logits of all positions most of the memory.

    Args:
        model: A causal language model, or a wrapper of one.
        pick: From all states to those with logits.
        owner: The model inside the wrapper.
        inputs: Its other arguments.

    Raises:
        InputError: The model has no head whose input can be accessed.
    """
    seen = False

    def watched(states: Tensor) -> Tensor:
        nonlocal seen
        seen = True
        return pick(states)

    owner = model if owner is None else owner
    if "logits_to_keep" in signature(owner.forward).parameters:
        inputs["logits_to_keep"] = 0
    with before_head(owner, watched):
        logits = model(**inputs, return_dict=True).logits
    if not seen:
        raise without_head(owner)
    return logits.float()


def without_head(model: Any) -> InputError:
    """The error for a model without a head whose input can be accessed."""
    return InputError(f"{type(model).__name__} has no head whose input can be accessed", remedy="use another model")


@torch.no_grad()
def states_of(model: Any, tokens: Int[Tensor, " t"]) -> StatesAndHead:
    """The states of a causal language model for one sequence; only the logits of its last token are computed.

    Raises:
        InputError: Logits are not a linear function of the head's input, for example because they are soft-capped.
    """
    seen: list[Tensor] = []

    def watched(states: Tensor) -> Tensor:
        seen.append(states)
        return states[:, -1:]

    arguments: dict[str, Any] = {"logits_to_keep": 0} if "logits_to_keep" in signature(model.forward).parameters else {}
    with before_head(model, watched):
        output = model(input_ids=tokens[None], use_cache=False, output_hidden_states=True, **arguments)
    if not seen:
        raise without_head(model)
    head = model.get_output_embeddings()
    bias = getattr(head, "bias", None)
    last, logits = seen[0][0], output.logits[0, -1].float()
    linear = (head.weight @ last[-1]).float()
    wanted = logits if bias is None else logits - bias
    # Some models multiply the logits by a constant.
    scale = float(linear @ wanted / linear.square().sum())
    if not float((wanted - scale * linear).norm()) <= _TOLERANCE * float(wanted.norm()):
        problem = f"the logits of {type(model).__name__} are not a linear function of its last state"
        raise InputError(problem, remedy="use a model without soft-capping of logits")
    states = (*(each[0].float() for each in output.hidden_states[:-1]), last.float() * scale)
    return StatesAndHead(states, head.weight.detach(), None if bias is None else bias.detach())

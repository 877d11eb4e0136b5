"""Early exits: the next-token distributions of several layers of a language model, in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nearfar.decoding._head import forward
from nearfar.errors import InputError
from nearfar.models.blocks import blocks_of, number_of_layers

if TYPE_CHECKING:
    from jaxtyping import Float

__all__ = ["Exits", "layers_named"]


def layers_named(text: str, count: int) -> tuple[int, ...]:
    """The lower layers that an option names.

    Args:
        text: `top`, `high` or `low` for every second layer of the last quarter, the upper half or the lower half, or
            numbers separated by commas.
        count: The number of layers of the model.

    Raises:
        InputError: The text is something else, there is no such layer, or none at all.
    """
    named = {
        "top": range(count * 3 // 4, count, 2),
        "high": range(count // 2, count, 2),
        "low": range(2, count // 2, 2),
    }
    if text in named:
        found = tuple(layer for layer in named[text] if layer)
        if not found:
            problem = f"a model of {count} layers has none that is {text!r}"
            raise InputError(problem, field="layers", remedy=f"use numbers from 1 to {count}, e.g. layers=1")
        return found
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        problem = f"expected top, high, low or a comma-separated list of integers, got {text!r}"
        raise InputError(problem, field="layers", remedy="use e.g. layers=high") from None
    if not 1 <= found[0] <= found[-1] <= count:
        raise InputError(f"invalid value {text!r}: must be 1 to {count}", field="layers")
    return found


class Exits:
    """Computes the log-probabilities of the last layer and of lower layers.

    The states of all layers pass the model's own head in one call, so that whatever the model does with logits
    (scaling, soft capping) happens to all of them.

    Args:
        model: A causal language model of transformers.
        layers: Lower layers, from 1 (after the first block) to the number of layers. Layer 0, the embeddings, is not
            allowed: with tied embeddings, it predicts the current token.
        norm: Apply the final norm to the states of lower layers.

    Raises:
        InputError: A layer that does not exist, or a model whose layers or final norm cannot be found.
    """

    def __init__(self, model: Any, layers: Sequence[int] = (), *, norm: bool = True) -> None:
        self.model, self.layers = model, tuple(layers)
        count = number_of_layers(model)
        for layer in self.layers:
            if not 1 <= layer <= count:
                raise InputError(f"invalid layer {layer}: must be 1 to {count}", field="layers")
        self._blocks, found = _parts(model) if self.layers else ([], None)
        self._norm: Callable[[Tensor], Tensor] = found if norm and found is not None else nn.Identity()

    def __call__(self, keep: Callable[[Tensor], Tensor], **inputs: Any) -> Float[Tensor, "b n 1+l v"]:
        """Float32 log-probabilities of the last layer and of each lower layer, at n positions.

        Args:
            keep: From states (rows, positions, d) to those of the positions that are needed, (b, n, d).
            **inputs: Arguments of the model's forward pass.
        """
        seen: dict[int, Tensor] = {}

        def pick(states: Tensor) -> Tensor:
            lower = [self._norm(keep(seen[layer])).to(states.device) for layer in self.layers]
            return torch.cat([keep(states), *lower], 1)

        handles = [self._blocks[layer - 1].register_forward_hook(_keeper(seen, layer)) for layer in set(self.layers)]
        try:
            logits = forward(self.model, pick, **inputs)
        finally:
            for handle in handles:
                handle.remove()
        return logits.unflatten(1, (1 + len(self.layers), -1)).transpose(1, 2).log_softmax(-1)


def _keeper(seen: dict[int, Tensor], layer: int) -> Callable[..., None]:
    def keep(module: Any, inputs: Any, output: Any) -> None:
        seen[layer] = output[0] if isinstance(output, tuple) else output

    return keep


def _parts(model: Any) -> tuple[list[nn.Module], nn.Module]:
    """The blocks and the final norm: the last norm of the decoder, if its output is the input of the head."""
    blocks = blocks_of(model)
    norms = [each for each in model.get_decoder().children() if "norm" in type(each).__name__.lower()]
    if blocks is None or not norms or not _feeds_head(model, list(blocks)[-1], norms[-1]):
        problem = f"{type(model).__name__} has no final norm between its last layer and its head that could be found"
        raise InputError(problem, field="layers", remedy="use another model, or a decoding without lower layers")
    return list(blocks), norms[-1]


@torch.no_grad()
def _feeds_head(model: Any, block: nn.Module, norm: nn.Module) -> bool:
    """Whether the head reads the norm of the last block's states, found by a forward pass of one token."""
    seen: dict[int, Tensor] = {}
    read: list[Tensor] = []

    def pick(states: Tensor) -> Tensor:
        read.append(states)
        return states

    handle = block.register_forward_hook(_keeper(seen, 0))
    try:
        forward(model, pick, input_ids=torch.tensor([[0]], device=model.device))
    finally:
        handle.remove()
    states = seen[0]
    return states.shape == read[0].shape and torch.allclose(norm(states).to(read[0].device), read[0])

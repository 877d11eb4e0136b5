"""Three ways to run k candidate tokens after a prefix and keep one: the same choice at different costs.

Shared      candidates are k positions of one row: one copy of the prefix's keys and values in memory
Repeated    candidates are k rows: k copies of the cache, which works with any cache
OneByOne    candidates one after the other, then the chosen one again: the least memory, k + 1 passes
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache as once
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from nearfar.decoding._cache import keeps_all
from nearfar.decoding._head import forward
from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from transformers import DynamicCache

#: From the candidates' states, (b, k, d), to the index of the chosen candidate of each row.
Choose = Callable[[Tensor], Tensor]

_LOG = logging.getLogger(__name__)


class Prefix:
    """The tokens so far.

    Args:
        model: The model.
        cache: Keys and values of the t tokens.
        real: False for padding.
        positions: The positions of the tokens, for models that need them.
    """

    def __init__(
        self, model: Any, cache: DynamicCache, real: Bool[Tensor, "b t"], positions: Int[Tensor, "b t"] | None
    ) -> None:
        self.model, self.cache, self.real = model, cache, real
        self.next = None if positions is None else positions[:, -1:] + 1

    def grow(self) -> None:
        """Add one token to every row."""
        self.real = torch.cat([self.real, self.real.new_ones(len(self.real), 1)], 1)
        self.next = None if self.next is None else self.next + 1

    def at_next(self, count: int) -> dict[str, Tensor]:
        """The argument `position_ids` for `count` tokens that all have the next position."""
        return {} if self.next is None else {"position_ids": self.next.expand(-1, count)}


class Candidates(Protocol):
    """A way to run candidates."""

    def step(self, prefix: Prefix, ids: Int[Tensor, "b k"], choose: Choose) -> Float[Tensor, "b v"]:
        """Run the candidates, append the chosen ones to the prefix, and return the logits after them."""
        ...


class Shared:
    """All candidates of a row in one pass with one copy of its prefix; each attends to the prefix and itself."""

    def step(self, prefix: Prefix, ids: Int[Tensor, "b k"], choose: Choose) -> Float[Tensor, "b v"]:
        """See `Candidates`."""
        (b, k), t, dtype = ids.shape, prefix.real.shape[1], prefix.model.dtype
        rows = torch.arange(b, device=ids.device)
        itself = torch.eye(k, dtype=torch.bool, device=ids.device).expand(b, k, k)
        sees = torch.cat([prefix.real[:, None].expand(b, k, t), itself], 2)
        mask = torch.zeros(sees.shape, dtype=dtype, device=ids.device).masked_fill(~sees, torch.finfo(dtype).min)
        chosen = rows

        def pick(states: Float[Tensor, "b k d"]) -> Float[Tensor, "b 1 d"]:
            nonlocal chosen
            chosen = choose(states)
            return states[rows, chosen.to(states.device)][:, None]

        logits = forward(
            prefix.model,
            pick,
            input_ids=ids,
            attention_mask=mask[:, None],
            past_key_values=prefix.cache,
            **prefix.at_next(k),
        )
        if chosen.any():  # otherwise the chosen keys and values are in place
            layers, place = list[Any](prefix.cache.layers), t + chosen
            for layer in layers:
                for kept in (layer.keys, layer.values):
                    kept[:, :, t] = kept[rows.to(kept.device), :, place.to(kept.device)]
        prefix.cache.crop(1 - k)
        prefix.grow()
        return logits[:, -1]


class Repeated:
    """Each candidate in its own row."""

    def step(self, prefix: Prefix, ids: Int[Tensor, "b k"], choose: Choose) -> Float[Tensor, "b v"]:
        """See `Candidates`."""
        b, k = ids.shape
        first = torch.arange(0, b * k, k, device=ids.device)
        chosen = first

        def pick(states: Float[Tensor, "rows 1 d"]) -> Float[Tensor, "b 1 d"]:
            nonlocal chosen
            chosen = first + choose(states.view(b, k, -1))
            return states[chosen.to(states.device)]

        cache: Any = prefix.cache
        cache.reorder_cache(torch.arange(b, device=ids.device).repeat_interleave(k))
        one_more = torch.cat([prefix.real, prefix.real.new_ones(b, 1)], 1).long()
        logits = forward(
            prefix.model,
            pick,
            input_ids=ids.reshape(b * k, 1),
            attention_mask=one_more.repeat_interleave(k, 0),
            past_key_values=cache,
            **{name: value.repeat_interleave(k, 0) for name, value in prefix.at_next(1).items()},
        )
        cache.reorder_cache(chosen)
        prefix.grow()
        return logits[:, -1]


class OneByOne:
    """One candidate of each row at a time, with one cache, from which it is removed again."""

    def step(self, prefix: Prefix, ids: Int[Tensor, "b k"], choose: Choose) -> Float[Tensor, "b v"]:
        """See `Candidates`."""
        states: list[Tensor] = []

        def only_states(found: Float[Tensor, "b 1 d"]) -> Float[Tensor, "b 0 d"]:
            states.append(found)
            return found[:, :0]

        for number in range(ids.shape[1]):
            self._run(prefix, ids[:, number : number + 1], only_states)
            prefix.cache.crop(-1)
        chosen = choose(torch.cat(states, 1))
        logits = self._run(prefix, ids.gather(1, chosen.to(ids.device)[:, None]), lambda found: found)
        prefix.grow()
        return logits[:, -1]

    def _run(self, prefix: Prefix, ids: Int[Tensor, "b 1"], pick: Callable[[Tensor], Tensor]) -> Tensor:
        real = torch.cat([prefix.real, prefix.real.new_ones(len(ids), 1)], 1).long()
        inputs = {"input_ids": ids, "attention_mask": real, "past_key_values": prefix.cache}
        return forward(prefix.model, pick, **inputs, **prefix.at_next(1))


def way_for(model: Any, cache: DynamicCache, low_memory: bool) -> Candidates:
    """The fastest way to run candidates that a model and its cache support.

    Raises:
        InputError: `low_memory` with a cache that cannot remove its last token.
    """
    if low_memory:
        if not keeps_all(cache):
            problem = f"{type(model).__name__} has a cache from which a token cannot be removed"
            raise InputError(problem, field="low_memory", remedy="remove low_memory")
        return OneByOne()
    reason = why_not_shared(model, cache)
    if reason is None:
        return Shared()
    _tell(f"{type(model).__name__} {reason}: each candidate gets a copy of the cache")
    return Repeated()


def why_not_shared(model: Any, cache: DynamicCache) -> str | None:
    """Why candidates cannot be positions of one row; None if they can."""
    text = model.config.get_text_config(decoder=True)
    # Set if attention depends only on the given mask, not on positions in the cache.
    if not model._supports_attention_backend:
        return "has its own implementation of attention"
    if text._attn_implementation not in ("sdpa", "eager"):
        return f"uses the attention {text._attn_implementation}, which does not support 4-dimensional masks"
    if "position_ids" not in signature(model.forward).parameters:
        return "does not accept position_ids"
    if cache.offloading or not keeps_all(cache):
        return "does not keep all keys and values of the prefix in memory"
    return None


@once
def _tell(reason: str) -> None:
    _LOG.warning(reason)

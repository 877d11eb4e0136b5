"""The forward passes of a contrast: expert, amateur and guided expert, each with its own cache of keys and values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from nearfar.decoding._cache import keeps_all
from nearfar.decoding.exits import Exits
from nearfar.decoding.layer_contrast import LayerContrast, contrasted
from nearfar.errors import InputError
from nearfar.models.chat import Prompt

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from nearfar.decoding.amateur import Amateur

__all__ = ["Branches"]

#: Amateur and expert are equal if no log-probability differs by more.
_EQUAL = 1e-4


class Branches:
    """Scores next tokens by one or several contrasts that share their forward passes.

    Args:
        model: The expert, a causal language model of transformers.
        tokenizer: Its tokenizer, for the guidance and the amateur's prompt.
        settings: The contrasts; `norm` and `guidance` must be the same in all of them.
        amateur: The worse model, required if a contrast has an `amateur_weight`.

    Raises:
        InputError: The model has no cache of keys and values, no such layer, or there is no amateur.
    """

    def __init__(
        self, model: Any, tokenizer: Any, settings: Sequence[LayerContrast], amateur: Amateur | None = None
    ) -> None:
        if len({each.norm for each in settings}) > 1 or len({each.guidance for each in settings if each.guided}) > 1:
            raise ValueError("expected contrasts with the same norm and guidance")
        _check(model)
        self.settings, self._tokenizer, self._differ = list(settings), tokenizer, False
        self._layers = [sorted({n for each in settings for n in _pick(each)}) for _pick in (_expert, _amateur)]
        norm, guidance = settings[0].norm, next((each.guidance for each in settings if each.guided), "")
        self._expert = _Branch(Exits(model, self._layers[0], norm=norm))
        self._amateur = None
        if any(each.amateur_weight for each in settings):
            if amateur is None:
                remedy = "add --amateur MODEL, or `prompt` for the model itself with an instruction to answer falsely"
                raise InputError("expected an amateur to contrast the model with", field="--amateur", remedy=remedy)
            _check(amateur.model)
            exits = Exits(amateur.model, self._layers[1], norm=norm)
            self._amateur = _Branch(exits, amateur.prompt, amateur.active)
        self._guided = _Branch(Exits(model), guidance) if guidance else None

    @property
    def _all(self) -> list[_Branch]:
        return [each for each in (self._expert, self._amateur, self._guided) if each is not None]

    def start(
        self, ids: Int[Tensor, "b t"], real: Bool[Tensor, "b t"], prompts: Sequence[Prompt] | None = None
    ) -> list[Float[Tensor, "b v"]]:
        """The scores of the token after each prompt, by each contrast.

        Args:
            ids: The prompts, padded on the left.
            real: False for padding.
            prompts: The same as texts, so that instructions can be part of a chat.

        Raises:
            InputError: Expert and amateur are equal.
        """
        if prompts is None:
            prompts = [Prompt.of_tokens(row[kept].tolist()) for row, kept in zip(ids, real, strict=True)]
        return self._scores([each.start(self._tokenizer, prompts) for each in self._all])

    def step(self, ids: Int[Tensor, "b 1"]) -> list[Float[Tensor, "b v"]]:
        """The scores of the token after one more token of each row."""
        return self._scores([each.step(ids) for each in self._all])

    def answers(
        self, prompt: Prompt, answers: Sequence[Sequence[int]], *, batch_size: int = 8
    ) -> Float[Tensor, "contrasts tokens v"]:
        """The scores of every next token of each answer to a prompt, one answer after the other.

        The keys and values of the prompt are computed once, those that it shares with the previous prompt not at all.

        Args:
            prompt: The prompt.
            answers: Tokens of the answers, at least one for each.
            batch_size: Answers per forward pass.
        """
        passes = [each.answers(self._tokenizer, prompt, answers, batch_size) for each in self._all]
        return torch.stack(self._scores(passes))

    def _scores(self, passes: list[Tensor]) -> list[Tensor]:
        given = iter(passes)
        expert = next(given)
        amateur = None if self._amateur is None else next(given)
        guided = None if self._guided is None else next(given)[..., 0, :]
        if amateur is not None and not self._differ:
            self._differ = bool((expert[..., 0, :] - amateur[..., 0, :]).abs().max() > _EQUAL)
            if not self._differ:
                remedy = "pass a worse model, or train the amateur for longer"
                problem = "the amateur predicts the same as the model: their contrast is zero"
                raise InputError(problem, field="--amateur", remedy=remedy)
        found = []
        for each in self.settings:
            worse = None if amateur is None else _of(amateur, self._layers[1], _amateur(each))
            found.append(contrasted(each, _of(expert, self._layers[0], _expert(each)), worse, guided))
        return found


class _Branch:
    """The passes of one model over prompts and their continuations.

    Args:
        exits: The model and its layers.
        instruction: Text before each prompt.
        active: The context in which the model computes.
    """

    def __init__(
        self,
        exits: Exits,
        instruction: str = "",
        active: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._exits, self._instruction, self._active = exits, instruction, active
        self._positioned = "position_ids" in signature(exits.model.forward).parameters
        self._known: list[int] = []
        self._cache = self._empty()

    def _empty(self) -> DynamicCache:
        return DynamicCache(config=self._exits.model.config)

    def start(self, tokenizer: Any, prompts: Sequence[Prompt]) -> Float[Tensor, "b 1+l v"]:
        rows = [torch.tensor(each.tokens(tokenizer, self._instruction)) for each in prompts]
        ids = pad_sequence(rows, batch_first=True, padding_side="left").to(self._exits.model.device)
        ones = [torch.ones_like(row) for row in rows]
        self._real = pad_sequence(ones, batch_first=True, padding_side="left").to(ids.device)
        self._cache = self._empty()
        places = (self._real.cumsum(1) - 1).clamp(min=0)
        return self._run(_last, ids, self._real, places, self._cache)[:, 0]

    def step(self, ids: Int[Tensor, "b 1"]) -> Float[Tensor, "b 1+l v"]:
        ids = ids.to(self._real.device)
        places = self._real.sum(1, keepdim=True)
        self._real = torch.cat([self._real, torch.ones_like(ids)], 1)
        return self._run(_last, ids, self._real, places, self._cache)[:, 0]

    def answers(
        self, tokenizer: Any, prompt: Prompt, answers: Sequence[Sequence[int]], batch_size: int
    ) -> Float[Tensor, "tokens 1+l v"]:
        first = self._read(prompt.tokens(tokenizer, self._instruction))
        found = []
        for start in range(0, len(answers), batch_size):
            part = answers[start : start + batch_size]
            rest = iter(self._rest(part))
            for answer in part:
                found += [first, next(rest)] if len(answer) > 1 else [first]
        return torch.cat(found)

    def _read(self, tokens: list[int]) -> Float[Tensor, "1 1+l v"]:
        """Read a prompt from where it differs from the previous one; its last token is always read."""
        device = self._exits.model.device
        shared = 0
        if keeps_all(self._cache):
            pairs = zip(tokens[:-1], self._known, strict=False)
            shared = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(tokens) - 1, len(self._known)))
        if shared:
            self._cache.crop(shared - len(self._known))
        else:
            self._cache = self._empty()
        self._known = []  # if the pass is interrupted, the cache is not used again
        ids = torch.tensor([tokens[shared:]], device=device)
        places = torch.arange(shared, len(tokens), device=device)[None]
        found = self._run(_last, ids, torch.ones(1, len(tokens), device=device).long(), places, self._cache)[:, 0]
        self._known = tokens
        return found

    def _rest(self, answers: Sequence[Sequence[int]]) -> Sequence[Float[Tensor, "n 1+l v"]]:
        """The log-probabilities after the first, second, ... token of each answer that has more than one."""
        long = [torch.tensor(answer[:-1]) for answer in answers if len(answer) > 1]
        if not long:
            return []
        device, known = self._exits.model.device, len(self._known)
        ids = pad_sequence(long, batch_first=True).to(device)
        real = pad_sequence([torch.ones_like(each) for each in long], batch_first=True).to(device)
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(len(long))
        mask = torch.cat([real.new_ones(len(long), known), real], 1)
        places = torch.arange(known, known + ids.shape[1], device=device).expand_as(ids)
        # Only the states of real tokens pass the head.
        found = self._run(lambda states: states[real.bool().to(states.device)][None], ids, mask, places, cache)
        return found[0].split([len(each) for each in long])

    @torch.no_grad()
    def _run(
        self, keep: Callable[[Tensor], Tensor], ids: Tensor, real: Tensor, places: Tensor, cache: DynamicCache
    ) -> Float[Tensor, "b n 1+l v"]:
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": real, "past_key_values": cache}
        if self._positioned:
            inputs["position_ids"] = places
        with self._active():
            return self._exits(keep, **inputs)


def _last(states: Tensor) -> Tensor:
    return states[:, -1:]


def _expert(settings: LayerContrast) -> tuple[int, ...]:
    return settings.expert_layers


def _amateur(settings: LayerContrast) -> tuple[int, ...]:
    return settings.amateur_layers


def _of(values: Float[Tensor, "*b 1+n v"], known: list[int], layers: tuple[int, ...]) -> Float[Tensor, "*b 1+l v"]:
    """The last layer and those of a contrast, among those of all contrasts."""
    if tuple(known) == layers:
        return values
    return values[..., [0, *(1 + known.index(layer) for layer in layers)], :]


def _check(model: Any) -> None:
    if model.config.is_encoder_decoder:
        problem = f"expected a decoder-only model, got {type(model).__name__}"
        raise InputError(problem, remedy="use another model or decoding")
    if getattr(model, "_is_stateful", False):
        problem = f"expected a model with a cache of keys and values, got {type(model).__name__}"
        raise InputError(problem, remedy="use another model or decoding")

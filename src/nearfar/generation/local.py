"""A causal language model on this machine."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from nearfar.errors import InputError
from nearfar.generation.interface import Decoding, Prompt, first_line
from nearfar.models.language import (
    check_length,
    find_language_model,
    load_language_model,
    padding_token,
    weights_hash,
)

#: Prompts that have as many first tokens in common are assumed to have the same instruction.
_BEGINNING = 24


class LocalModel:
    """A language model by name, loaded when it is first used.

    Args:
        name: A folder or hub id with safetensors weights, a `.gguf` file, or a key of `GENERATORS` such as `smollm2`.
        batch_size: Prompts per forward pass. Rounding depends on it, so near ties may be decided differently.
        device: Device of the model; a GPU if available when None.

    Raises:
        InputError: There is no such model.
    """

    def __init__(self, name: str | Path, batch_size: int = 16, device: str | None = None) -> None:
        self.name, self.batch_size, self.device = str(name), batch_size, device
        self.folder = find_language_model(self.name).folder

    @cached_property
    def identity(self) -> str:
        """The last part of the name and a hash of the weights."""
        return f"{Path(self.name).name} {weights_hash(self.name)}"

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        """Answer in batches of prompts with the same beginning and a similar length. See `Generator.answers`."""
        if decoding.omega and any(prompt.opposite is None for prompt in prompts):
            raise ValueError("omega > 0 requires an opposite for every prompt")
        encode = self._tokenizer.encode
        rows = [encode(prompt.text) for prompt in prompts]
        against = [encode(str(prompt.opposite)) for prompt in prompts] if decoding.omega else []
        self._check_lengths([*rows, *against], decoding)
        for batch in _batches(rows, self.batch_size):
            with _seeded([prompts[i] for i in batch]):
                found = self._generated([rows[i] for i in batch], [against[i] for i in batch if against], decoding)
            yield from zip(batch, found, strict=True)

    def _generated(self, rows: list[list[int]], against: list[list[int]], decoding: Decoding) -> list[str]:
        import torch
        from transformers import LogitsProcessorList

        from nearfar.generation.contrastive import Context, ContrastiveLogits

        processors = LogitsProcessorList()
        if against:
            opposite = Context.of(self._model, against, self._padding)
            processors.append(ContrastiveLogits(self._model, opposite, decoding.omega, decoding.plausibility))
        context = Context.of(self._model, rows, self._padding)
        drawn: dict[str, Any] = {"do_sample": False}
        if decoding.temperature:
            drawn = {"do_sample": True, "temperature": decoding.temperature, "top_k": 0, "top_p": 1.0}
        with torch.no_grad():
            tokens = self._model.generate(
                input_ids=context.input_ids,
                attention_mask=context.attention_mask,
                past_key_values=context.cache,
                logits_processor=processors,
                max_new_tokens=decoding.max_tokens,
                **drawn,
                eos_token_id=self._ends or None,
                pad_token_id=self._padding,
            )
        answers = tokens[:, context.input_ids.shape[1] :]
        return [first_line(text) for text in self._tokenizer.batch_decode(answers, skip_special_tokens=True)]

    def _check_lengths(self, rows: list[list[int]], decoding: Decoding) -> None:
        if min(map(len, rows), default=1) == 0:
            raise InputError(
                "a prompt has no tokens", field="--model", remedy="use texts that the tokenizer of the model supports"
            )
        check_length(self._model, max(map(len, rows), default=0) + decoding.max_tokens, self.name)

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import GenerationConfig

        model, tokenizer = load_language_model(self.name, self.device)
        # The generation settings of the model (sampling, penalties) could make answers differ between calls.
        model.generation_config = GenerationConfig()
        return model, tokenizer

    @property
    def _model(self) -> Any:
        return self._loaded[0]

    @property
    def _tokenizer(self) -> Any:
        return self._loaded[1]

    @cached_property
    def _ends(self) -> list[int]:
        """Tokens that end an answer: the end-of-text token, and all that contain a line break."""
        tokenizer = self._tokenizer
        texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        ends = {token for token, text in enumerate(texts) if "\n" in text}
        return sorted(ends | {tokenizer.eos_token_id} - {None})

    @property
    def _padding(self) -> int:
        return padding_token(self._tokenizer)


def _batches(rows: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Rows of similar length, and of the same instruction and examples, which are then computed once for a batch.

    Prompts whose beginning too few others have for a batch are only sorted by length.
    """
    beginnings = [tuple(row[:_BEGINNING]) for row in rows]
    groups: dict[tuple[int, ...], list[int]] = {}
    count = Counter(beginnings)
    for number, beginning in enumerate(beginnings):
        groups.setdefault(beginning if count[beginning] >= size else (), []).append(number)
    for group in groups.values():
        group.sort(key=lambda number: len(rows[number]))
        for start in range(0, len(group), size):
            yield group[start : start + size]


@contextmanager
def _seeded(prompts: Sequence[Prompt]) -> Iterator[None]:
    """Sampling that depends on the prompts of the batch only; the random generators are the same afterwards."""
    import torch

    text = json.dumps([[prompt.text, prompt.sample] for prompt in prompts])
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big"))
        yield

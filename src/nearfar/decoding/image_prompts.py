"""Continuations of prompts of texts and images, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from nearfar.decoding.texts import Batch, continuation
from nearfar.errors import InputError
from nearfar.models.aliases import sha256
from nearfar.models.language import check_length, end_tokens, padding_token

if TYPE_CHECKING:
    from nearfar.decoding.method import Method
    from nearfar.models.abilities import Describes

__all__ = ["ImageWriter"]


class ImageWriter:
    """Continues prompts of texts and images; see `nearfar.decoding.texts.Writer`, whose arguments these are.

    Raises:
        InputError: The method does not work with such models.
    """

    def __init__(
        self,
        source: Describes,
        method: Method,
        options: Any,
        *,
        max_new_tokens: int = 64,
        seed: int = 0,
        batch_size: int = 8,
        name: str = "the model",
    ) -> None:
        if not method.any_model:
            problem = f"{method.name} does not work with models that read images"
            raise InputError(problem, field="--decoding", remedy="use greedy, beam or nucleus")
        self.source, self.method, self.name = source, method, name
        self.max_new_tokens, self.seed, self.batch_size = max_new_tokens, seed, batch_size
        self.arguments = method.arguments(source.language_model, options)

    #: Whether tokens can be watched.
    streams = False

    def shown(self, prompt: Sequence[Mapping[str, Any]]) -> str:
        """What to print before a continuation."""
        return "".join(str(part["text"]) if "text" in part else f"[{part['image']}] " for part in prompt)

    def recorded(self, prompts: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
        """What else determines the texts, apart from model, method and seed: the contents of the images."""
        files = {str(part["image"]) for prompt in prompts for part in prompt if "image" in part}
        return {"images": {file: sha256(Path(file)) if Path(file).is_file() else None for file in sorted(files)}}

    def batches(
        self,
        prompts: Sequence[Sequence[Mapping[str, Any]]],
        *,
        done: int = 0,
        watch: Callable[[str], None] | None = None,
    ) -> Iterator[Batch]:
        """Yield continuations in batches of prompts of similar length, shortest first.

        Args:
            prompts: For each prompt its parts, `{"text": ...}` or `{"image": ...}`.
            done: Number of batches that already exist, which are skipped.
            watch: Not supported, see `streams`.

        Raises:
            InputError: A prompt without tokens, or too long for the model; or an image that cannot be decoded.
        """
        lengths = [self.source.prompt_length(prompt) for prompt in prompts]
        if 0 in lengths:
            problem = f"prompt {lengths.index(0) + 1} has no tokens"
            raise InputError(problem, field="prompt", remedy="add an image, or at least a word")
        model = self.source.language_model
        check_length(model, max(lengths, default=0) + self.max_new_tokens, self.name, "--max-new-tokens")
        order = sorted(range(len(prompts)), key=lengths.__getitem__)
        for batch in range(done, -(-len(order) // self.batch_size)):
            numbers = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            with torch.random.fork_rng():
                torch.manual_seed((self.seed * 1_000_003 + batch) % 2**32)
                yield numbers, self._continued(model, [prompts[number] for number in numbers])

    def _continued(self, model: Any, prompts: list[Sequence[Mapping[str, Any]]]) -> list[Any]:
        inputs, seeing = self.source.generation(prompts)
        ends = end_tokens(model, self.source.tokenizer)
        with torch.no_grad(), seeing:
            found = model.generate(
                **inputs,
                max_new_tokens=self.max_new_tokens,
                eos_token_id=ends or None,
                pad_token_id=padding_token(self.source.tokenizer),
                **{"do_sample": False, **self.arguments},
            )
        return [continuation(self.source.tokenizer, row, ends) for row in found.tolist()]

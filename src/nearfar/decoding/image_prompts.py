"""Continuations of prompts of texts and images, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data.files import sha256
from nearfar.decoding.texts import Batch, BatchWriter
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.decoding.method import Method
    from nearfar.models.abilities import Describes

__all__ = ["ImageWriter"]


class ImageWriter(BatchWriter):
    """Continues prompts of texts and images.

    Args:
        source: A model that reads images.
        method, options: The decoding method and its settings.
        **how: See `BatchWriter`.

    Raises:
        InputError: A setting is invalid, or the method does not work with such models.
    """

    def __init__(self, source: Describes, method: Method, options: Any, **how: Any) -> None:
        if not method.any_model:
            problem = f"{method.name} does not work with models that read images"
            raise InputError(problem, field="--decoding", remedy="use greedy, beam or nucleus")
        super().__init__(source.language_model, source.tokenizer, method, options, **how)
        self.source = source

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
        for numbers in self._batched(lengths, max(lengths, default=0) + self.max_new_tokens, done):
            inputs, seeing = self.source.generation([prompts[number] for number in numbers])
            with seeing:
                found = self._generated(0, **inputs)
            yield numbers, found

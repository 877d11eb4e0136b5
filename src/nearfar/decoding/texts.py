"""Continuations of many prompts, in batches, so that an interrupted run can be resumed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from nearfar.decoding.branches import Branches
from nearfar.decoding.contrastive_decoding import contrastive_decoding
from nearfar.errors import InputError
from nearfar.models.abilities import Continues
from nearfar.models.blocks import number_of_layers
from nearfar.models.chat import Prompt, has_chat_template
from nearfar.models.language import check_length, end_tokens, padding_token

if TYPE_CHECKING:
    from nearfar.decoding.amateur import Amateur
    from nearfar.decoding.method import Method
    from nearfar.models.abilities import Conditions


class Continuation(NamedTuple):
    """The text that a model generated.

    Args:
        text: The text without the prompt and the end token.
        tokens: Number of tokens, including the end token.
        ended: Whether it has an end token.
    """

    text: str
    tokens: int
    ended: bool


#: Indices of prompts, and their continuations.
Batch = tuple[list[int], list[Continuation]]


class BatchWriter:
    """What writers share: batches of prompts of similar length, each with random numbers of its own.

    Equal prompts, settings, seed and batch size give equal texts; rounding and sampling depend on the batch.

    Args:
        model: A causal or sequence-to-sequence model of transformers. Its generation settings are not used.
        tokenizer: Its tokenizer.
        method: The decoding method.
        options: Settings of the method.
        max_new_tokens: Maximum number of new tokens.
        seed: Random seed.
        batch_size: Prompts per forward pass.
        name: Name of the model in messages.

    Raises:
        InputError: A setting is invalid.
    """

    #: Whether tokens can be watched.
    streams = False

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        method: Method,
        options: Any,
        *,
        max_new_tokens: int = 64,
        seed: int = 0,
        batch_size: int = 8,
        name: str = "the model",
    ) -> None:
        for field, value in (("max_new_tokens", max_new_tokens), ("batch_size", batch_size)):
            if value < 1:
                raise InputError(f"invalid value {value}: must be 1 or more", field=field)
        self.model, self.tokenizer, self.method, self.name = model.eval(), tokenizer, method, name
        self.max_new_tokens, self.seed, self.batch_size = max_new_tokens, seed, batch_size
        self.arguments = method.arguments(model, options)
        self.ends, self.padding = end_tokens(model, tokenizer), padding_token(tokenizer)
        # The decoder of some models begins with a token that only this file names.
        first = getattr(model.generation_config, "decoder_start_token_id", None)
        model.generation_config = GenerationConfig(decoder_start_token_id=first)

    def _batched(self, lengths: Sequence[int], positions: int, done: int) -> Iterator[list[int]]:
        """The numbers of the prompts of each batch, shortest first; random numbers inside depend on seed and batch.

        Args:
            lengths: Number of tokens of each prompt.
            positions: Positions that the longest one and its continuation need.
            done: Batches to skip.

        Raises:
            InputError: A prompt without tokens, or too long for the model.
        """
        if 0 in lengths:
            problem = f"prompt {lengths.index(0) + 1} has no tokens"
            raise InputError(problem, field="prompt", remedy="write at least a word")
        check_length(self.model, positions, self.name, "--max-new-tokens")
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        for batch in range(done, -(-len(order) // self.batch_size)):
            with torch.random.fork_rng():
                torch.manual_seed((self.seed * 1_000_003 + batch) % 2**32)
                yield order[batch * self.batch_size : (batch + 1) * self.batch_size]

    def _generated(self, known: int, **arguments: Any) -> list[Continuation]:
        """New tokens as texts, each up to its first end token; the first `known` positions are not new."""
        with torch.no_grad():
            found = self.model.generate(
                max_new_tokens=self.max_new_tokens,
                eos_token_id=self.ends or None,
                pad_token_id=self.padding,
                **{"do_sample": False, **self.arguments, **arguments},
            )
        return [self._continuation(row) for row in found[:, known:].tolist()]

    def _continuation(self, tokens: list[int]) -> Continuation:
        end = next((place for place, token in enumerate(tokens) if token in self.ends), None)
        written = tokens if end is None else tokens[: end + 1]
        return Continuation(self.tokenizer.decode(written, skip_special_tokens=True), len(written), end is not None)


class Writer(BatchWriter):
    """Continues prompts, or answers them, with a model and a decoding method.

    Args:
        source: A language model.
        method, options, max_new_tokens, seed, batch_size, name: See `BatchWriter`.
        amateur: The amateur, for decoding methods that use one.
        chat: Format prompts by the tokenizer's chat template.
        prefix: The name of a prefix that the model's training recorded: prompts get it, and the format of training.

    Raises:
        InputError: A setting is invalid for the model, or it has no such prefix, no chat template, or no amateur.
    """

    streams = True

    def __init__(
        self,
        source: Conditions,
        method: Method,
        options: Any,
        *,
        max_new_tokens: int = 64,
        seed: int = 0,
        batch_size: int = 8,
        name: str = "the model",
        amateur: Amateur | None = None,
        chat: bool = False,
        prefix: str | None = None,
    ) -> None:
        model, tokenizer = source.model, source.tokenizer
        if chat and not has_chat_template(tokenizer):
            raise InputError(f"{name} has no chat template", field="--chat", remedy="remove --chat")
        if not method.any_model and not isinstance(source, Continues):
            problem = f"{method.name} needs a model that continues its prompt: {name} reads it with an encoder"
            raise InputError(problem, field="--decoding", remedy="use greedy, beam or nucleus")
        how: dict[str, Any] = {"max_new_tokens": max_new_tokens, "seed": seed, "batch_size": batch_size, "name": name}
        super().__init__(model, tokenizer, method, options, **how)
        self.source, self.chat, self.prefix = source, chat, prefix
        self._before = None if prefix is None else _prefix(source, prefix, name)
        self._branches = None
        if method.contrast is not None:
            contrast = method.contrast(options, number_of_layers(model))
            self._branches = Branches(model, tokenizer, [contrast], amateur)

    def shown(self, prompt: str) -> str:
        """What to print before a continuation: an answer begins on a line of its own."""
        continues = isinstance(self.source, Continues) and not self.chat and self.prefix is None
        return prompt if continues else f"{prompt}\n"

    def recorded(self, prompts: Sequence[str]) -> dict[str, Any]:
        """What else determines the texts, apart from model, method and seed."""
        return {"chat": self.chat, "prefix": self.prefix}

    def batches(
        self,
        prompts: Sequence[str],
        *,
        done: int = 0,
        watch: Callable[[str], None] | None = None,
    ) -> Iterator[Batch]:
        """Yield continuations in batches of prompts of similar length, shortest first.

        Args:
            prompts: The prompts.
            done: Number of batches that already exist, which are skipped.
            watch: Called with each new piece of text; only for one prompt and a method that streams.

        Raises:
            InputError: A prompt without tokens, or too long for the model.
        """
        said = [self._prompt(prompt) for prompt in prompts]
        rows = [prompt.tokens(self.tokenizer) for prompt in said]
        lengths = [len(row) for row in rows]
        longest = self.source.positions(max(lengths, default=0), self.max_new_tokens)
        for numbers in self._batched(lengths, longest, done):
            yield numbers, self._continued([rows[i] for i in numbers], [said[i] for i in numbers], watch)

    def _prompt(self, text: str) -> Prompt:
        return Prompt(text, self.chat) if self._before is None else self.source.prompt(self._before + text)

    def _continued(
        self, rows: list[list[int]], prompts: list[Prompt], watch: Callable[[str], None] | None
    ) -> list[Continuation]:
        inputs, known = self.source.generation_inputs([torch.tensor(row) for row in rows])
        watching = StoppingCriteriaList()
        if watch is not None and self.method.streams:
            watching.append(_Watch(self.tokenizer, known, watch))
        arguments: dict[str, Any] = {}
        if self._branches is not None:
            arguments = {"custom_generate": contrastive_decoding, "branches": self._branches, "prompts": prompts}
        return self._generated(known, **inputs, stopping_criteria=watching, **arguments)


def _prefix(source: Conditions, name: str, model: str) -> str:
    known = source.prefixes
    if name in known:
        return known[name]
    problem = f"{model} has no prefix {name!r}: its training recorded none"
    if known:
        problem = f"{model} has no prefix {name!r}: it has {', '.join(sorted(known))}"
    raise InputError(problem, field="--prefix", remedy="use one of these" if known else "remove --prefix")


class _Watch(StoppingCriteria):
    """Never stops; reports the growing text. A character may consist of several tokens."""

    def __init__(self, tokenizer: Any, start: int, watch: Callable[[str], None]) -> None:
        self.tokenizer, self.start, self.watch, self.told = tokenizer, start, watch, 0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        text = self.tokenizer.decode(input_ids[0, self.start :], skip_special_tokens=True)
        if not text.endswith("\ufffd"):
            self.watch(text[self.told :])
            self.told = len(text)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


class Unfinished:
    """Batches on disk while a run is in progress; the first line identifies the run.

    Args:
        path: The file; the file of another run is overwritten.
        run: Everything that determines the texts.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        self._head = json.dumps({"run": hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()}) + "\n"

    def batches(self) -> list[Batch]:
        """The batches of this run. A truncated line at the end is removed."""
        found: list[Batch] = []
        whole = len(self._head.encode())
        if self.path.is_file():
            with self.path.open("rb") as lines:
                if next(lines, b"") == self._head.encode():
                    for line in lines:
                        if not line.endswith(b"\n"):
                            break
                        numbers, rows = json.loads(line)
                        found.append((numbers, [Continuation(*row) for row in rows]))
                        whole += len(line)
        if found:
            os.truncate(self.path, whole)
        else:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self._head, "utf-8")
        return found

    def add(self, batch: Batch) -> None:
        """Append a batch."""
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(batch) + "\n")
            lines.flush()
            os.fsync(lines.fileno())

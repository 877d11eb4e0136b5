"""Continuations of many prompts, in batches that a killed run need not write again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from nearfar.errors import InputError
from nearfar.models.language import check_length, end_tokens, padding_token

if TYPE_CHECKING:
    from nearfar.decoding.method import Method


class Continuation(NamedTuple):
    """What a model wrote.

    Args:
        text: Without the prompt and the end token.
        tokens: How many, the end token among them.
        ended: It came to an end token.
    """

    text: str
    tokens: int
    ended: bool


#: The numbers of some prompts, and their continuations.
Batch = tuple[list[int], list[Continuation]]


class Writer:
    """Continues prompts with one model, by one way of decoding.

    Equal prompts, settings, seed and batch size give equal texts: rounding depends on the batch, and so does what is
    drawn.

    Args:
        model: A causal language model of transformers. Its own settings of generation are put aside.
        tokenizer: The model's.
        method: The way of decoding.
        options: Settings of the method.
        max_new_tokens: Longest continuation.
        seed: Decides what is drawn.
        batch_size: Prompts in one pass.
        name: How messages call the model.
    """

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
                raise InputError(f"{value} is too few", field=field, remedy="use 1 or more")
        self.model, self.tokenizer, self.method, self.name = model, tokenizer, method, name
        self.max_new_tokens, self.seed, self.batch_size = max_new_tokens, seed, batch_size
        self.arguments = method.arguments(model, options)
        self.ends, self.padding = end_tokens(model, tokenizer), padding_token(tokenizer)
        model.generation_config = GenerationConfig()

    def batches(
        self,
        prompts: Sequence[str],
        *,
        done: int = 0,
        watch: Callable[[str], None] | None = None,
    ) -> Iterator[Batch]:
        """Prompts of like length together, the shortest first.

        Args:
            prompts: What to go on from.
            done: Batches that are there already, to be left out.
            watch: Called with each new piece of text; for one prompt, where the method streams.

        Raises:
            InputError: a prompt without tokens, or one that leaves no room.
        """
        rows = [self.tokenizer(prompt, verbose=False)["input_ids"] for prompt in prompts]
        for number, row in enumerate(rows, 1):
            if not row:
                raise InputError(f"prompt {number} has no token", field="prompt", remedy="give at least a word")
        check_length(self.model, max(map(len, rows), default=0) + self.max_new_tokens, self.name, "--max-new-tokens")
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for batch in range(done, -(-len(order) // self.batch_size)):
            numbers = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            with torch.random.fork_rng():
                torch.manual_seed((self.seed * 1_000_003 + batch) % 2**32)
                yield numbers, self._continued([rows[i] for i in numbers], watch)

    def _continued(self, rows: list[list[int]], watch: Callable[[str], None] | None) -> list[Continuation]:
        width = max(map(len, rows))
        device = self.model.device
        ids = torch.tensor([[self.padding] * (width - len(row)) + row for row in rows], device=device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
        watching = StoppingCriteriaList()
        if watch is not None and self.method.streams:
            watching.append(_Watch(self.tokenizer, width, watch))
        with torch.no_grad():
            found = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=self.max_new_tokens,
                eos_token_id=self.ends or None,
                pad_token_id=self.padding,
                stopping_criteria=watching,
                **{"do_sample": False, **self.arguments},
            )
        return [self._continuation(row) for row in found[:, width:].tolist()]

    def _continuation(self, tokens: list[int]) -> Continuation:
        end = next((place for place, token in enumerate(tokens) if token in self.ends), None)
        written = tokens if end is None else tokens[: end + 1]
        return Continuation(self.tokenizer.decode(written, skip_special_tokens=True), len(written), end is not None)


class _Watch(StoppingCriteria):
    """Stops nothing; tells of the text as it grows. A character may take several tokens."""

    def __init__(self, tokenizer: Any, start: int, watch: Callable[[str], None]) -> None:
        self.tokenizer, self.start, self.watch, self.told = tokenizer, start, watch, 0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        text = self.tokenizer.decode(input_ids[0, self.start :], skip_special_tokens=True)
        if not text.endswith("\ufffd"):
            self.watch(text[self.told :])
            self.told = len(text)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


class Unfinished:
    """Batches on disk while a run is under way: its first line says of what run they are.

    Args:
        path: The file; one of another run is begun anew.
        run: All that decides the texts.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        self._head = json.dumps({"run": hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()}) + "\n"

    def batches(self) -> list[Batch]:
        """What is there of this run. A line that a kill cut off does not count, and is cut off."""
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
        """One batch more."""
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(batch) + "\n")
            lines.flush()
            os.fsync(lines.fileno())

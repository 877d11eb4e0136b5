"""What a generator of text is: prompts in, one line of text for each out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from nearfar.errors import InputError


@dataclass(frozen=True)
class Prompt:
    """What the model goes on from.

    Args:
        text: The instruction, examples and the input.
        opposite: The same input under the opposite instruction, for contrastive decoding.
    """

    text: str
    opposite: str | None = None


@dataclass(frozen=True)
class Decoding:
    """How an answer is chosen. The likeliest token each time: equal prompts have equal answers.

    Args:
        max_tokens: Longest answer; a line end ends it earlier.
        omega: How much the opposite prompt's logits count against a token; 0 is plain decoding.
        plausibility: With omega > 0, only tokens with at least this part of the likeliest one's probability count.
    """

    max_tokens: int = 48
    omega: float = 0.0
    plausibility: float = 0.0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"{self.max_tokens} tokens are no answer", field="max_tokens", remedy="use e.g. 48")
        if not 0 <= self.omega < math.inf:
            raise InputError(f"{self.omega} is out of range", field="omega", remedy="use 0, or e.g. 0.3")
        if not 0 <= self.plausibility <= 1:
            raise InputError(f"{self.plausibility} is out of range", field="plausibility", remedy="use 0 to 1")


class Generator(Protocol):
    """A language model, wherever it runs."""

    @property
    def identity(self) -> str:
        """A name that no other model shares, for the log of calls. Never a secret."""
        ...

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        """Each prompt's number with its answer, one line without spaces around, in whatever order they are done.

        Raises:
            InputError: the model or endpoint cannot be used, or cannot decode like this.
        """
        ...


def first_line(text: str) -> str:
    """An answer up to the first line end, without spaces around."""
    return text.strip("\r\n ").partition("\n")[0].strip()

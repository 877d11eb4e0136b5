"""The interface of text generators: one line of text per prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from unicodedata import category

from nearfar.errors import InputError


@dataclass(frozen=True)
class Prompt:
    """The input of a language model.

    Args:
        text: Instruction, examples and input.
        opposite: The same input with the opposite instruction, for contrastive decoding.
        sample: Number of the answer, where several are sampled for the same text.
    """

    text: str
    opposite: str | None = None
    sample: int = 0


@dataclass(frozen=True)
class Decoding:
    """Settings of decoding. Without a temperature it is greedy: equal prompts have equal answers.

    Args:
        max_tokens: Maximum number of new tokens; an answer also ends at a line break.
        omega: Weight of the logits of the opposite prompt, which are subtracted; 0 is plain decoding.
        plausibility: With omega > 0, only tokens with at least this fraction of the top token's probability are
            considered.
        temperature: Above 0, answers are sampled at this temperature.
    """

    max_tokens: int = 48
    omega: float = 0.0
    plausibility: float = 0.0
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise InputError(f"invalid value {self.max_tokens}: must be 1 or more", field="max_tokens")
        if not 0 <= self.omega < math.inf:
            raise InputError(
                f"invalid value {self.omega}: must be 0 or more", field="omega", remedy="use for example 0.3"
            )
        if not 0 <= self.temperature < math.inf:
            raise InputError(
                f"invalid value {self.temperature}: must be 0 or more",
                field="temperature",
                remedy="use for example 0.7",
            )
        if not 0 <= self.plausibility <= 1:
            raise InputError(f"invalid value {self.plausibility}: must be 0 to 1", field="plausibility")


class Generator(Protocol):
    """A language model, local or remote."""

    @property
    def identity(self) -> str:
        """A unique name for the log of calls. It contains no secret."""
        ...

    def answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, str]]:
        """Yield the index of each prompt with its answer, a stripped line, in any order.

        Raises:
            InputError: The model or endpoint is not available, or does not support the decoding.
        """
        ...


def first_line(text: str) -> str:
    """The first line of an answer, stripped. Half a surrogate pair, which no file can contain, becomes U+FFFD."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    line = next(iter(whole.strip("\r\n ").splitlines()), "")
    return "".join(each if category(each) != "Cc" else " " for each in line).strip()

"""Greedy decoding: the likeliest token each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfar.decoding.method import Method
from nearfar.errors import InputError


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        repetition_penalty: Above 1, logits of tokens that were there are made smaller by it (Keskar et al. 2019).
    """

    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.repetition_penalty < float("inf"):
            problem = f"{self.repetition_penalty} is no penalty"
            raise InputError(problem, field="repetition_penalty", remedy="use e.g. 1.2")


def _arguments(model: Any, options: Options) -> dict[str, Any]:
    return {} if options.repetition_penalty == 1 else {"repetition_penalty": options.repetition_penalty}


METHOD = Method("greedy", "the likeliest token each time", Options, _arguments)

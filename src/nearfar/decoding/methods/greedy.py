"""Greedy decoding: the most probable token at each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfar.decoding.method import Method
from nearfar.errors import InputError


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        repetition_penalty: Values above 1 lower the logits of earlier tokens (Keskar et al. 2019).
    """

    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.repetition_penalty < float("inf"):
            problem = f"invalid value {self.repetition_penalty}: must be above 0 and finite"
            raise InputError(problem, field="repetition_penalty", remedy="use for example 1.2")


def _arguments(model: Any, options: Options) -> dict[str, Any]:
    return {} if options.repetition_penalty == 1 else {"repetition_penalty": options.repetition_penalty}


METHOD = Method("greedy", "the most probable token at each step", Options, _arguments, any_model=True)

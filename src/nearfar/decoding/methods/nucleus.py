"""Nucleus sampling: sample from the most probable tokens with a total probability of p.

Source: Holtzman et al. 2020, The Curious Case of Neural Text Degeneration (arXiv 1904.09751).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfar.decoding.method import Method
from nearfar.errors import InputError


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        top_p: Total probability of the tokens to sample from; 1 samples from all.
        temperature: Logits are divided by it.
    """

    top_p: float = 0.95
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise InputError(
                f"invalid value {self.top_p}: must be above 0 and at most 1",
                field="top_p",
                remedy="use for example 0.95",
            )
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"invalid value {self.temperature}: must be above 0 and finite", field="temperature")


def _arguments(model: Any, options: Options) -> dict[str, Any]:
    return {"do_sample": True, "top_k": 0, "top_p": options.top_p, "temperature": options.temperature}


METHOD = Method(
    "nucleus", "a token sampled from the most probable ones", Options, _arguments, any_model=True, random=True
)

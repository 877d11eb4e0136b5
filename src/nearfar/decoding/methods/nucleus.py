"""Nucleus sampling: a token drawn from the likeliest ones that together have probability p.

Holtzman et al. 2020, The Curious Case of Neural Text Degeneration (arXiv 1904.09751).
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
        top_p: Probability that the tokens drawn from have together; 1 draws from all.
        temperature: Logits are divided by it.
    """

    top_p: float = 0.95
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise InputError(f"{self.top_p} is no probability", field="top_p", remedy="use e.g. 0.95")
        if not 0 < self.temperature < float("inf"):
            raise InputError(f"{self.temperature} is no temperature", field="temperature", remedy="use e.g. 1")


def _arguments(model: Any, options: Options) -> dict[str, Any]:
    return {"do_sample": True, "top_k": 0, "top_p": options.top_p, "temperature": options.temperature}


METHOD = Method("nucleus", "a token drawn from the likeliest ones", Options, _arguments, random=True)

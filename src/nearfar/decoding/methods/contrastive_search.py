"""Contrastive search: see `nearfar.decoding.contrastive`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfar.decoding.method import Method
from nearfar.errors import InputError
from nearfar.settings import check_ranges


@dataclass(frozen=True)
class Options:
    """Settings, with the authors' for most languages.

    Args:
        top_k: Candidates at each step. The authors: 5 for English, 3 for code and translation.
        penalty_alpha: What likeness to earlier states costs, from 0 (greedy) to 1. The authors: 0.6, for code 0.4.
        low_memory: Run the candidates one after the other.
    """

    top_k: int = 4
    penalty_alpha: float = 0.6
    low_memory: bool = False

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InputError(f"{self.top_k} candidates are no choice", field="top_k", remedy="use 1 or more, e.g. 4")
        check_ranges(self)


def _arguments(model: Any, options: Options) -> dict[str, Any]:
    from nearfar.decoding import contrastive_search

    return {
        "custom_generate": contrastive_search,
        "top_k": options.top_k,
        "penalty_alpha": options.penalty_alpha,
        "low_memory": options.low_memory,
    }


METHOD = Method(
    "contrastive_search",
    "of the likeliest tokens, the one whose state is least like those before",
    Options,
    _arguments,
)

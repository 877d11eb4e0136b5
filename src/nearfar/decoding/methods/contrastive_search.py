"""Contrastive search: see `nearfar.decoding.contrastive`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfar.decoding.method import Method
from nearfar.errors import InputError
from nearfar.settings import Fraction, check_ranges


@dataclass(frozen=True)
class Options:
    """Settings; the defaults are the authors' for most languages.

    Args:
        top_k: Number of candidates per step. The authors use 5 for English, 3 for code and translation.
        penalty_alpha: Weight of the similarity to earlier states, from 0 (greedy) to 1. The authors: 0.6, for code 0.4.
        low_memory: Run the candidates one after the other.
    """

    top_k: int = 4
    penalty_alpha: Fraction = 0.6
    low_memory: bool = False

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InputError(
                f"invalid value {self.top_k}: must be 1 or more", field="top_k", remedy="use for example 4"
            )
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
    "among the most probable tokens, prefers one whose state differs from earlier states",
    Options,
    _arguments,
)

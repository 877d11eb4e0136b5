"""Beam search: keep several partial texts, and return the most probable complete one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfar.decoding.method import Method
from nearfar.errors import InputError


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        num_beams: Number of partial texts.
        length_penalty: The log-probability of a text is divided by its length to this power; above 0 favors long texts.
    """

    num_beams: int = 4
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.num_beams < 2:
            raise InputError(f"invalid value {self.num_beams}: must be 2 or more", field="num_beams")
        if not abs(self.length_penalty) < float("inf"):
            raise InputError(f"invalid value {self.length_penalty}: must be finite", field="length_penalty")


def _arguments(model: Any, options: Options) -> dict[str, Any]:
    return {"num_beams": options.num_beams, "length_penalty": options.length_penalty}


METHOD = Method(
    "beam",
    "the most probable text among several kept in parallel",
    Options,
    _arguments,
    any_model=True,
    streams=False,
)

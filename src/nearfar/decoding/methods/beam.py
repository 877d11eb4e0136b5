"""Beam search: several beginnings at once, and the likeliest whole text of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nearfar.decoding.method import Method
from nearfar.errors import InputError


@dataclass(frozen=True)
class Options:
    """Settings.

    Args:
        num_beams: Beginnings that are kept.
        length_penalty: Power of a text's length that its log-probability is divided by; above 0 favours long ones.
    """

    num_beams: int = 4
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.num_beams < 2:
            raise InputError(f"{self.num_beams} is no beam search", field="num_beams", remedy="use 2 or more")
        if not abs(self.length_penalty) < float("inf"):
            raise InputError(f"{self.length_penalty} is no power", field="length_penalty", remedy="use e.g. 1")


def _arguments(model: Any, options: Options) -> dict[str, Any]:
    return {"num_beams": options.num_beams, "length_penalty": options.length_penalty}


METHOD = Method("beam", "the likeliest text of several beginnings kept at once", Options, _arguments, streams=False)

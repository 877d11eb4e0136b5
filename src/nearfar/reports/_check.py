"""What a chart refuses to draw, said in one line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sized


def finite(values: Iterable[float], where: str) -> list[float]:
    """The values as floats.

    Raises:
        ValueError: There are none, or one is not a finite number.
    """
    numbers = [float(value) for value in values]
    if not numbers:
        raise ValueError(f"{where} is empty; a chart needs at least one value")
    for index, value in enumerate(numbers):
        if not math.isfinite(value):
            raise ValueError(f"{where}: value {index} is {value}; a chart takes finite numbers")
    return numbers


def some(values: Sized, where: str, *, most: int | None = None) -> None:
    """Raise a ValueError unless ``values`` has at least one entry and, if given, at most ``most``."""
    if len(values) == 0:
        raise ValueError(f"{where} is empty; a chart needs at least one")
    if most is not None and len(values) > most:
        raise ValueError(f"{where}: {len(values)} are too many to tell apart in one chart; {most} at most")


def same_length(values: Sized, expected: int, where: str) -> None:
    """Raise a ValueError unless ``values`` has ``expected`` entries."""
    if len(values) != expected:
        raise ValueError(f"{where} has {len(values)} values for {expected} labels")

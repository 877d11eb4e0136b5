"""Checks of a chart's arguments: every error is one line that names the chart and the argument."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import TypeVar

Given = TypeVar("Given")
Checked = TypeVar("Checked")


def each(
    series: Mapping[str, Given], where: str, check: Callable[[Given, str], Checked], *, most: int
) -> dict[str, Checked]:
    """Each series of a chart after ``check(values, name of the argument)``.

    Raises:
        ValueError: There is no series or more than ``most``, or ``check`` raises it.
    """
    some(series, f"{where}: series", most=most)
    return {name: check(values, f"{where}: series {name!r}") for name, values in series.items()}


def finite(values: Iterable[float], where: str) -> list[float]:
    """The values as floats.

    Raises:
        ValueError: There are none, or one is not a finite number.
    """
    numbers = [float(value) for value in values]
    some(numbers, where)
    for index, value in enumerate(numbers):
        if not math.isfinite(value):
            raise ValueError(f"{where}: expected finite numbers, got {value} at index {index}")
    return numbers


def some(values: Sized, where: str, *, most: int | None = None) -> None:
    """Check that there is at least one entry, and at most ``most`` of them.

    Raises:
        ValueError: otherwise.
    """
    if len(values) == 0:
        raise ValueError(f"{where} is empty: expected at least one entry")
    if most is not None and len(values) > most:
        raise ValueError(f"{where}: expected at most {most} entries, got {len(values)}")


def same_length(values: Sized, expected: int, where: str) -> None:
    """Check the number of entries.

    Raises:
        ValueError: It differs from ``expected``.
    """
    if len(values) != expected:
        raise ValueError(f"{where}: expected {expected} values, got {len(values)}")

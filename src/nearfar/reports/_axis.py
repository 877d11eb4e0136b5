"""Axes: the positions and labels of ticks, and the position of a value between the ends of an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nearfar.reports.numbers import LARGE, SMALL, fixed, number, scientific


@dataclass(frozen=True)
class Axis:
    """A scale from ``low`` to ``high`` with its ticks as (value, label) pairs in ascending order."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def fraction(self, value: float) -> float:
        """The position of ``value`` on the axis: 0 at ``low``, 1 at ``high``."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Step:
    """A tick distance of ``digit`` × 10 ** ``exponent`` with ``digit`` 1, 2 or 5."""

    digit: int
    exponent: int

    @property
    def size(self) -> float:
        """The distance as a float."""
        return self.times(1)

    def times(self, count: int) -> float:
        """``count`` steps, correctly rounded: 3 steps of 0.1 are 0.3, not 0.30000000000000004."""
        whole = count * self.digit
        return whole * 10.0**self.exponent if self.exponent >= 0 else whole / 10.0**-self.exponent

    def below(self, value: float) -> int:
        """The largest number of steps that is not above ``value``, up to rounding."""
        return math.floor(value / self.size + 1e-9)

    def above(self, value: float) -> int:
        """The smallest number of steps that is not below ``value``, up to rounding."""
        return math.ceil(value / self.size - 1e-9)

    def label(self, value: float, largest: float) -> str:
        """``value`` with as many digits as neighbouring ticks need to differ, on an axis up to ``largest``."""
        if value == 0:
            return "0"
        if largest >= LARGE or self.exponent < -5:
            return scientific(value, max(0, math.floor(math.log10(abs(value)) + 1e-12) - self.exponent))
        return fixed(value, max(0, -self.exponent))


def nice_step(span: float, count: int, *, whole: bool = False) -> Step:
    """The smallest 1-2-5 step that divides ``span`` into at most ``count`` parts; at least 1 if ``whole``."""
    raw = span / count
    if whole and raw <= 1:
        return Step(1, 0)
    exponent = math.floor(math.log10(raw))
    for digit in (1, 2, 5):
        if raw <= digit * 10.0**exponent * (1 + 1e-9):
            return Step(digit, exponent)
    return Step(1, exponent + 1)


def linear_axis(low: float, high: float, count: int, *, snap: bool = True, whole: bool = False) -> Axis:
    """An axis from ``low`` to ``high`` with about ``count`` parts.

    Args:
        low: Smallest value to show.
        high: Largest value to show; may equal ``low``.
        count: Maximum number of parts (one or two more if the ends are snapped).
        snap: Whether the axis is extended to end on ticks.
        whole: Whether ticks are whole numbers only.

    Raises:
        ValueError: The range is too wide for floating-point numbers.
    """
    if not math.isfinite(high - low) or not math.isfinite(4 * max(abs(low), abs(high))):
        raise ValueError(f"the range {low:g} to {high:g} of an axis overflows")
    if high - low <= 1e-12 * max(abs(low), abs(high)) or high - low < 1e-300:
        return _around(low, whole)
    step = nice_step(high - low, count, whole=whole)
    first, last = (step.below(low), step.above(high)) if snap else (step.above(low), step.below(high))
    values = [step.times(k) for k in range(first, last + 1)]
    largest = max(map(abs, values), default=0.0)
    ticks = tuple((value, step.label(value, largest)) for value in values)
    return Axis(values[0], values[-1], ticks) if snap else Axis(low, high, ticks)


def log_axis(low: float, high: float, count: int) -> Axis:
    """A logarithmic axis from ``low`` to ``high``, with ticks at powers of ten, or 1-2-5, or even steps.

    Raises:
        ValueError: An end is not positive and finite.
    """
    if not 0 < low <= high < math.inf:
        raise ValueError(f"expected positive numbers for a logarithmic axis, got {low:g} to {high:g}")
    slack = max((high / low) ** 0.04, 1.02)
    low, high = low / slack, high * slack
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = [10.0**exponent for exponent in range(first, last + 1) if low <= 10.0**exponent <= high]
    if len(powers) >= 3:
        every = math.ceil(len(powers) / count)
        values = [power for power in powers if round(math.log10(power)) % every == 0]
    else:
        values = [digit * 10.0**e for e in range(first, last + 1) for digit in (1, 2, 5)]
        values = [value for value in values if low <= value <= high]
        if len(values) < 3:
            return Axis(low, high, linear_axis(low, high, max(count, 4), snap=False).ticks, log=True)
    spelled = all(SMALL <= value < LARGE for value in values)
    labels = (number(value, 1) if spelled or value == 1 else scientific(value, 0) for value in values)
    return Axis(low, high, tuple(zip(values, labels, strict=True)), log=True)


def _around(value: float, whole: bool) -> Axis:
    """An axis for one single value, with the value in the middle and one tick on it."""
    room = max(1.0, abs(value) * 1e-9) if whole or value == 0 else abs(value) * 0.1
    return Axis(value - room, value + room, ((value, number(int(value) if whole else value, 6)),))

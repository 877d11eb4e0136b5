# ruff: noqa: RUF001 (minus signs, dashes and multiplication signs are what is tested)
from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.reports._axis import linear_axis, log_axis, nice_step


def labels(axis) -> list[str]:
    return [label for _, label in axis.ticks]


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 1, 5, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.03, 0.29, 3, ["0", "0.1", "0.2", "0.3"]),
        (-0.08, 0.15, 5, ["−0.10", "−0.05", "0", "0.05", "0.10", "0.15"]),
        (0, 12_000, 3, ["0", "5,000", "10,000", "15,000"]),
        (0, 2e-5, 4, ["0", "5×10⁻⁶", "10⁻⁵", "1.5×10⁻⁵", "2×10⁻⁵"]),
        (0, 2e9, 4, ["0", "5×10⁸", "10⁹", "1.5×10⁹", "2×10⁹"]),
    ],
)
def test_labels_have_the_digits_that_tell_ticks_apart(low, high, count, expected):
    assert labels(linear_axis(low, high, count)) == expected


def test_ticks_are_correctly_rounded_multiples():
    assert [value for value, _ in linear_axis(0, 0.7, 7).ticks] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_an_unsnapped_axis_ends_on_the_data_and_keeps_ticks_inside():
    axis = linear_axis(1, 1187, 6, snap=False, whole=True)
    assert (axis.low, axis.high) == (1, 1187)
    assert labels(axis) == ["200", "400", "600", "800", "1,000"]


def test_whole_axes_have_no_half_steps():
    assert labels(linear_axis(0, 2, 8, snap=False, whole=True)) == ["0", "1", "2"]
    assert labels(linear_axis(0, 2, 4, snap=False)) == ["0", "0.5", "1.0", "1.5", "2.0"]


numbers = st.floats(-1e12, 1e12).map(lambda value: value if abs(value) > 1e-12 else 0.0)


@settings(max_examples=300, deadline=None)
@given(low=numbers, high=numbers, count=st.integers(1, 12))
def test_every_range_gets_few_distinct_rising_ticks_and_contains_its_data(low, high, count):
    low, high = min(low, high), max(low, high)
    axis = linear_axis(low, high, count)
    values = [value for value, _ in axis.ticks]
    assert axis.low < axis.high
    slack = 1e-8 * (axis.high - axis.low)
    assert axis.low - slack <= low <= high <= axis.high + slack
    assert values == sorted(set(values))
    assert 1 <= len(values) <= count + 2
    if high - low > 1e-9 * max(abs(low), abs(high)):
        assert len(set(labels(axis))) == len(values)


@settings(deadline=None)
@given(span=st.floats(1e-12, 1e12), count=st.integers(1, 20))
def test_steps_are_the_smallest_of_one_two_five(span, count):
    step = nice_step(span, count)
    assert step.digit in (1, 2, 5)
    assert span / step.size <= count * (1 + 1e-6)
    finer = {1: 0.5, 2: 0.5, 5: 0.4}[step.digit] * step.size
    assert span / finer > count * (1 - 1e-6)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 100, ["0.001", "0.01", "0.1", "1", "10", "100"]),
        (1e-8, 1, ["10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "1"]),
        (0.2, 6, ["0.2", "0.5", "1", "2", "5"]),
    ],
)
def test_log_axes_tick_at_powers_or_one_two_five(low, high, expected):
    assert labels(log_axis(low, high, 6)) == expected


@settings(max_examples=200, deadline=None)
@given(low=st.floats(1e-200, 1e200), ratio=st.floats(1, 1e90), count=st.integers(1, 8))
def test_log_axes_hold_their_data_and_always_say_something(low, ratio, count):
    axis = log_axis(low, low * ratio, count)
    assert 0 <= axis.fraction(low) <= axis.fraction(low * ratio) <= 1
    assert len(axis.ticks) >= 1
    assert all(-1e-9 <= axis.fraction(value) <= 1 + 1e-9 for value, _ in axis.ticks)


def test_log_axes_refuse_zero():
    with pytest.raises(ValueError, match="positive"):
        log_axis(0, 1, 5)


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-9, 1e15])
def test_one_single_value_stands_in_the_middle_on_a_tick(value):
    axis = linear_axis(value, value, 5)
    assert [tick for tick, _ in axis.ticks] == [value]
    assert math.isclose(axis.fraction(value), 0.5)


def test_a_range_beyond_floats_is_refused():
    with pytest.raises(ValueError, match="overflows"):
        linear_axis(-1e308, 1e308, 5)

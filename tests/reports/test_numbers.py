# ruff: noqa: RUF001 (minus signs, dashes and multiplication signs are what is tested)
from __future__ import annotations

import pytest

from nearfar.reports.numbers import column, fixed, number, scientific, whole


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (-0.5, "−0.5"),
        (0.12346, "0.1235"),
        (1234567, "1,234,567"),
        (1234.6, "1,235"),
        (2.5e-05, "2.5×10⁻⁵"),
        (1e-9, "10⁻⁹"),
        (-3e12, "−3×10¹²"),
        (float("nan"), "NaN"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_as_text(value, expected):
    assert number(value) == expected


def test_a_number_that_rounds_to_zero_has_no_sign():
    assert fixed(-0.0004, 3) == "0.000"
    assert fixed(-0.0006, 3) == "−0.001"


def test_a_mantissa_of_one_is_omitted():
    assert scientific(1e-5, 0) == "10⁻⁵"
    assert scientific(1.2e-5, 1) == "1.2×10⁻⁵"


def test_a_column_has_one_number_of_decimals():
    assert column([0.538, 0.53, -0.055, None]) == ["0.538", "0.530", "−0.055", "–"]
    assert column([2.0, 3.0]) == ["2", "3"]


def test_a_column_of_different_sizes_keeps_significant_digits():
    assert column([1000.0, 0.0123]) == ["1,000", "0.0123"]


def test_whole_numbers_become_ints():
    assert [repr(whole(value)) for value in (3.0, -2.0, 0.5)] == ["3", "-2", "0.5"]

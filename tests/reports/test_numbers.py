# ruff: noqa: RUF001 (minus signs, dashes and multiplication signs are what is tested)
from __future__ import annotations

import pytest

from nearfar.reports.numbers import column, fixed, number, scientific
from nearfar.reports.text import escaped, plain, shorten, text_width, wrap


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
def test_numbers_read_well(value, expected):
    assert number(value) == expected


def test_what_rounds_to_zero_has_no_sign():
    assert fixed(-0.0004, 3) == "0.000"
    assert fixed(-0.0006, 3) == "−0.001"


def test_a_mantissa_of_one_is_left_out():
    assert scientific(1e-5, 0) == "10⁻⁵"
    assert scientific(1.2e-5, 1) == "1.2×10⁻⁵"


def test_a_column_has_one_count_of_decimals():
    assert column([0.538, 0.53, -0.055, None]) == ["0.538", "0.530", "−0.055", "–"]
    assert column([2.0, 3.0]) == ["2", "3"]


def test_a_column_of_many_sizes_keeps_each_digit():
    assert column([1000.0, 0.0123]) == ["1,000", "0.0123"]


def test_text_loses_what_cannot_be_written():
    assert plain("a\0b\ud800c\r\nd") == "a\ufffdb\ufffdc\nd"


def test_markup_from_outside_is_escaped():
    from markupsafe import Markup

    assert escaped(Markup("<b>")) == "&lt;b&gt;"
    assert type(plain(Markup("<b>"))) is str


def test_shortened_text_fits():
    text = "a name that goes on and on"
    assert shorten(text, 1000, 13) == text
    cut = shorten(text, 80, 13)
    assert cut.endswith("…")
    assert text_width(cut, 13) <= 80


def test_wrapped_text_fits_and_keeps_its_words():
    lines = wrap("Product questions, English and German", 150, 13, 2)
    assert len(lines) == 2
    assert all(text_width(line, 13) <= 150 for line in lines)
    assert wrap("", 100, 13, 2) == []

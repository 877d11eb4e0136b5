"""When two answers are the same, and what is not read as a number."""

from __future__ import annotations

from fractions import Fraction

import pytest

from nearfar.data.answers import answer_key, equal_numbers, normalised, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("( 76.0 - 25.0 )", 51),
        ("2 * (3 + 4) / 7", 2),
        ("1,234.5", Fraction("1234.5")),
        ("-3.", -3),
        ("6 \N{DIVISION SIGN} 4", Fraction(3, 2)),
        ("1 / 0", None),
        ("2 ** 99999999", None),
        ("9" * 500, None),
        ("((((1", None),
        ("seven", None),
        ("7 apples", None),
        ("", None),
        ("1 2", None),
        ("__import__('os')", None),
    ],
)
def test_values(text: str, value: float | Fraction | None) -> None:
    assert value_of(text) == value


def test_texts_and_numbers_that_are_the_same() -> None:
    assert normalised("  The  Fridge. ") == "the fridge"
    assert answer_key("Fridge") == answer_key("fridge.")
    assert answer_key("51") == answer_key("( 76.0 - 25.0 )")
    assert answer_key("51") != answer_key("52")
    assert equal_numbers("0.3333333", "1 / 3")
    assert not equal_numbers("0.33", "1 / 3")
    assert not equal_numbers("a", "a")

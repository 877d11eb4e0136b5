"""Dates and times as people write them."""

# ruff: noqa: RUF001 - other scripts have characters that look like Latin ones
from __future__ import annotations

import pytest

from nearfar.data.times import iso_seconds, moments, order_of, seconds


@pytest.mark.parametrize(
    ("clock", "wanted"),
    [
        ("10:31", 37860),
        ("0:00:01.250", 1.25),
        ("00:00:01,05", 1.05),
        ("12:05 AM", 300),
        ("12:05 p. m.", 43500),
        ("1:00 PM", 46800),
        ("下午1:00", 46800),
        ("上午12:05", 300),
        ("١:٠٠ م", 46800),
        ("10.31", 37860),
    ],
)
def test_clocks(clock: str, wanted: float):
    assert seconds(clock) == pytest.approx(wanted)


def test_the_order_of_day_and_month_that_agrees_with_the_rows():
    days = [(30, 11, 24), (1, 12, 24), (2, 1, 25)]
    assert moments(days, [0.0] * 3) == sorted(moments(days, [0.0] * 3))
    american = [(11, 30, 24), (12, 1, 24), (1, 2, 25)]
    assert moments(american, [0.0] * 3) == moments(days, [0.0] * 3)


def test_iso_times_are_compared_with_their_zones():
    assert iso_seconds("2024-05-12T12:00:00+02:00") == iso_seconds("2024-05-12T10:00:00.0000000Z")
    assert iso_seconds("yesterday") is None


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1", "10", "2"], [0, 2, 1]),
        (["u1", "u10", "u2"], [0, 2, 1]),
        (["a1", "b2"], None),
        (["1", None], None),
        (["1", " "], None),
        (["nan", "1"], None),
        (["12.05.24, 10:31", "12.05.24, 9:31"], [1, 0]),
    ],
)
def test_what_texts_state(values: list[str | None], wanted: list[int] | None):
    found = order_of(values)
    assert (None if found is None else sorted(range(len(found)), key=found.__getitem__)) == wanted

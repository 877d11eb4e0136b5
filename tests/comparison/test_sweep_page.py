"""The page of a temperature sweep."""

from __future__ import annotations

import pytest

from nearfar.comparison.sweep_page import Measured, temperature_page
from page_reading import read_page

RUNS = [
    Measured("simple", 0.05, 0.625, 3.5, 0.25),
    Measured("simple", 0.5, 0.75, 2.5, 0.5),
    Measured("hard", 0.05, 0.875, 1.5, 0.75),
]


def test_the_most_accurate_is_named_and_nothing_is_promised() -> None:
    found = read_page(temperature_page(RUNS))
    for part in ("0.05", "hard", "0.875"):
        assert part in found.verdict
    assert found.tone == "neutral"  # chosen on these very texts
    assert found.subtitle.split()[0] == "3"


def test_every_figure_is_the_one_it_is_said_to_be() -> None:
    found = read_page(temperature_page(RUNS, [("seed", 3)]))
    values = [
        sorted(
            value for row in figure["rows"] for value in row if isinstance(value, float) and value not in (0.05, 0.5)
        )
        for figure in found.figures[:2]
    ]
    assert values == [[0.625, 0.75, 0.875], [1.5, 2.5, 3.5]]
    rows = found.table("loss")[-3:]
    assert [(row["loss"], float(row["temperature"]), float(row["accuracy"])) for row in rows] == [
        ("simple", 0.05, 0.625), ("simple", 0.5, 0.75), ("hard", 0.05, 0.875)
    ]  # fmt: skip
    assert [(float(row["uniformity"]), float(row["tolerance"])) for row in rows] == [
        (3.5, 0.25),
        (2.5, 0.5),
        (1.5, 0.75),
    ]
    assert found.facts == {"seed": "3"}


def test_without_runs_there_is_no_page() -> None:
    with pytest.raises(ValueError, match="run"):
        temperature_page([])

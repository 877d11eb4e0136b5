"""The page of a temperature sweep: how evenly vectors fill the sphere, how close equal labels are, what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page


class Measured(NamedTuple):
    """What one run of a sweep came to.

    Args:
        name: The line that it belongs to.
        temperature: Its tau.
        accuracy: Of a linear classifier on held-out texts.
        uniformity, tolerance: See `nearfar.geometry`.
    """

    name: str
    temperature: float
    accuracy: float
    uniformity: float
    tolerance: float


_FIGURES = (
    ("accuracy", "Accuracy of a linear classifier", "Higher is better."),
    ("uniformity", "Uniformity", "How evenly the vectors fill the sphere."),
    ("tolerance", "Tolerance", "Mean cosine of texts that share a label."),
)


def temperature_page(found: Sequence[Measured], facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The report of a sweep.

    Raises:
        ValueError: there is no run.
    """
    if not found:
        raise ValueError("a sweep without runs has no report")
    page = Page("Temperature sweep", f"{len(found)} runs, each measured on the same labelled texts", facts)
    best = max(found, key=lambda run: run.accuracy)
    page.verdict(
        f"Most accurate: temperature {best.temperature:g} ({best.name}), accuracy {best.accuracy:.3f}. One seed, and "
        "chosen on these texts: measure it on others before you rely on it."
    )
    page.section(
        "What the temperature does",
        "A small temperature pushes the hardest negatives alone: vectors spread, and texts that mean the same are "
        "pushed apart too. A large one pushes all negatives alike. Uniformity and tolerance are each easy to raise at "
        "the other's cost, so read them together, and beside the accuracy.",
    )
    names = list(dict.fromkeys(run.name for run in found))
    for field, title, caption in _FIGURES:
        lines = {name: [(run.temperature, getattr(run, field)) for run in found if run.name == name] for name in names}
        page.figure(line_chart(lines, title=title, x_label="temperature", y_label=field, caption=caption))
    page.section("All figures")
    page.table(["loss", "temperature", "accuracy", "uniformity", "tolerance"], [list(run) for run in found])
    return page

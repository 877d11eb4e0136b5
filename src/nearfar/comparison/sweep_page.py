"""The page of a temperature sweep: uniformity, tolerance and accuracy at each temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nearfar.reports.charts.line import line_chart
from nearfar.reports.page import Page


class Measured(NamedTuple):
    """The result of one run of a sweep.

    Args:
        name: The line in the figures that the run belongs to.
        temperature: Temperature of the run.
        accuracy: Accuracy of a linear classifier on held-out texts.
        uniformity, tolerance: See `nearfar.geometry`.
    """

    name: str
    temperature: float
    accuracy: float
    uniformity: float
    tolerance: float


_FIGURES = (
    ("accuracy", "Accuracy of a linear classifier", "Higher is better."),
    ("uniformity", "Uniformity", "How evenly the vectors are spread over the sphere."),
    ("tolerance", "Tolerance", "Mean cosine similarity of texts with the same label."),
)


def temperature_page(found: Sequence[Measured], facts: Sequence[tuple[str, object]] = ()) -> Page:
    """The report of a sweep.

    Raises:
        ValueError: There are no runs.
    """
    if not found:
        raise ValueError("expected at least one run, got none")
    page = Page("Temperature sweep", f"{len(found)} runs, all evaluated on the same labelled texts", facts)
    best = max(found, key=lambda run: run.accuracy)
    page.verdict(
        f"Most accurate: temperature {best.temperature:g} ({best.name}), accuracy {best.accuracy:.3f}. This is "
        "one seed, and the best temperature was chosen on these texts, so evaluate it on other texts too."
    )
    page.section(
        "Effect of the temperature",
        "With a small temperature, only the hardest negatives are pushed away: vectors are spread evenly, but texts "
        "with the same meaning are pushed apart too. With a large one, all negatives are pushed equally. It is easy to "
        "improve uniformity at the cost of tolerance and vice versa, so read both together with the accuracy.",
    )
    names = list(dict.fromkeys(run.name for run in found))
    for field, title, caption in _FIGURES:
        lines = {name: [(run.temperature, getattr(run, field)) for run in found if run.name == name] for name in names}
        page.figure(line_chart(lines, title=title, x_label="temperature", y_label=field, caption=caption))
    page.section("All values")
    page.table(["loss", "temperature", "accuracy", "uniformity", "tolerance"], [list(run) for run in found])
    return page

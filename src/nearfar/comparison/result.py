"""What a comparison found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.comparison.fitting import Fit
    from nearfar.comparison.ranking import Ranked

__all__ = ["Comparison", "Failure"]


@dataclass(frozen=True)
class Failure:
    """A recipe that could not be ranked.

    Args:
        recipe: Its name.
        seed: Of the run that failed.
        reason: The last line that it printed.
        log: All that it printed.
    """

    recipe: str
    seed: int
    reason: str
    log: Path


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Args:
        folder: Where everything is.
        metric: What was ranked by; higher is better.
        ranking: The best first; the base model is among them as `untrained`.
        baseline: What the others are tested against.
        recommendation: One sentence on what to use.
        verdicts: One sentence on what is significantly better than the baseline and what is not.
        model: What it recommends: a folder (of the first seed: to pick the luckiest would flatter), or the model's
            name where none is better.
        fits: Which recipes take part, and why others do not.
        failures: Recipes that failed, and how.
        notes: What a reader of the figures must know.
        metrics: What `metrics.json` contains.
    """

    folder: Path
    metric: str
    ranking: list[Ranked]
    baseline: str
    recommendation: str
    verdicts: str
    model: str
    fits: list[Fit]
    failures: list[Failure]
    notes: list[str]
    metrics: dict[str, Any]

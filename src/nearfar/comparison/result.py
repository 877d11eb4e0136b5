"""The result of a comparison."""

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
        seed: Seed of the run that failed.
        reason: The last line of its output.
        log: File with its output.
    """

    recipe: str
    seed: int
    reason: str
    log: Path

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"recipe": self.recipe, "seed": self.seed, "reason": self.reason, "log": str(self.log)}


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Args:
        folder: Folder of the comparison.
        metric: Metric of the ranking; higher is better.
        ranking: The models, best first; the base model, if it can read the rows, is named `base`.
        baseline: Name of the model that the others are tested against.
        recommendation: Which model to use, in one sentence.
        verdicts: Which models are significantly better than the baseline and which are not, in one sentence.
        model: The recommended model: a folder (always of the first seed, because choosing the best seed would bias the
            score), or the base model's name if no recipe is better; None if all are at chance and the base model, which
            cannot read the rows, was not evaluated.
        fits: Which recipes, and whether `base`, are compatible with the rows, and why others are not.
        failures: Recipes that failed, and why.
        notes: Notes for readers of the results.
        metrics: Contents of `metrics.json`.
    """

    folder: Path
    metric: str
    ranking: list[Ranked]
    baseline: str
    recommendation: str
    verdicts: str
    model: str | None
    fits: list[Fit]
    failures: list[Failure]
    notes: list[str]
    metrics: dict[str, Any]

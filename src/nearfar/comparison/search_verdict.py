"""Which configuration of a search is best, and which is the cheapest that is not significantly worse."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.comparison.ranking import Ranked, in_words, is_base, tied
from nearfar.evaluation.chance import Chance, at_chance
from nearfar.evaluation.result import at_ceiling

__all__ = ["Choice", "choose", "cost_in_words", "same_times"]

#: Times to encode a text up to this multiple of the least are equal: they vary from run to run.
_EQUAL = 1.5


@dataclass(frozen=True)
class Choice:
    """What was chosen on the validation rows.

    Args:
        ranking: The finalists and the base models on the validation rows.
        winner: The best finalist.
        cheapest: The cheapest model that does not differ significantly from the best one.
        informative: Whether the validation rows show a difference: not all models are at chance or at the ceiling.
    """

    ranking: list[Ranked]
    winner: str
    cheapest: str
    informative: bool

    @property
    def baseline(self) -> str:
        """The model that others are tested against: the best base model."""
        return next(row.name for row in self.ranking if row.baseline is None)

    def sentence(self, measured: Sequence[Ranked], metric: str) -> str:
        """Winner and cheapest in words, with their scores on the evaluation rows.

        Args:
            measured: The same models on the evaluation rows.
            metric: The name of the metric.
        """
        if not self.informative:
            return (
                f"Use {in_words(self.cheapest)}: all models are at chance or have the highest possible score on the "
                "validation rows, which show no difference."
            )
        rows = {row.name: row for row in measured}
        said = f"Winner: {self.winner}{_scored(rows.get(self.winner), metric)}."
        if self.cheapest == self.winner:
            return f"{said} No model that is not significantly worse is cheaper."
        cheap = next(row for row in self.ranking if row.name == self.cheapest)
        return (
            f"{said} Cheapest without a significant difference to the best one: {in_words(self.cheapest)}"
            f"{_scored(rows.get(self.cheapest), metric)}; {cost_in_words(cheap)}."
        )


def choose(ranking: list[Ranked], found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Choice:
    """The winner and the cheapest of the models that do not differ significantly from the first of the ranking.

    Args:
        ranking: Finalists and base models on the validation rows.
        found: Their results.
    """
    trained = [row for row in ranking if not is_base(row.name)]
    first = next(iter(found.values()))[0]
    chance = Chance(*first["chance"]) if "chance" in first else None
    scores = [row.score for row in ranking]
    informative = not at_chance(scores, chance, first["n"]) and not at_ceiling(*(score.mean for score in scores))
    leaders = tied(ranking) if informative else ranking
    times = [row.cost.ms_per_text for row in leaders if row.cost.ms_per_text is not None]
    least = min(times, default=0.0)

    def cost(row: Ranked) -> tuple[float, float, int]:
        time = row.cost.ms_per_text or 0.0
        return (time if time > _EQUAL * least else 0.0, row.cost.trained or 0, row.rank)

    return Choice(ranking, trained[0].name, min(leaders, key=cost).name, informative)


def same_times(
    found: Mapping[str, list[dict[str, Any]]], kinds: Mapping[str, tuple[str, str]]
) -> dict[str, list[dict[str, Any]]]:
    """Results in which all runs of one recipe and base model have the least time to encode a text of any of them.

    Their options change nothing about it, and a busy computer makes single measurements longer.

    Args:
        found: The results of each configuration.
        kinds: Recipe and base model of each configuration.
    """
    least: dict[tuple[str, str], float] = {}
    for name, runs in found.items():
        times = [run["ms_per_text"] for run in runs if run.get("ms_per_text") is not None]
        least[kinds[name]] = min([*times, least.get(kinds[name], math.inf)])
    return {
        name: [
            {**run, "ms_per_text": least[kinds[name]]} if run.get("ms_per_text") is not None else run for run in runs
        ]
        for name, runs in found.items()
    }


def cost_in_words(row: Ranked) -> str:
    """The cost of a model: time to encode a text, and trained parameters."""
    time, trained = row.cost.ms_per_text, row.cost.trained
    parts = [] if time is None else [f"{time:.2f} ms to encode a text"]
    parts += [] if trained is None else [f"{trained:,} trained parameters"]
    return ", ".join(parts) or "its cost is not known"


def _scored(row: Ranked | None, metric: str) -> str:
    if row is None:
        return ""
    mean, low, high = row.score
    gap = row.baseline
    said = f" ({metric} {mean:.3f}, 95% interval {low:.3f} to {high:.3f}"
    if gap is None:
        return f"{said})"
    difference, least, most = gap.difference
    return f"{said}; {difference:+.3f} over the base model, {least:+.3f} to {most:+.3f}, {gap.verdict})"

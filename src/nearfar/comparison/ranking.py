"""The ranking of the models of a comparison, and the recommendation in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nearfar.comparison.significance import Estimates, estimate, holm
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.intervals import Interval
from nearfar.evaluation.result import CEILING, at_ceiling

if TYPE_CHECKING:
    import numpy as np

#: The name of the base model among the recipes.
BASE = "base"
#: Differences with a corrected p-value below this are significant.
LEVEL = 0.05

Verdict = Literal["better", "worse", "no significant difference", "baseline"]


@dataclass(frozen=True)
class Against:
    """A paired difference to another model.

    Args:
        difference: The model minus the other, with its 95% interval over seeds and items.
        p: Two-sided p-value.
        corrected: The p-value after Holm's correction for all models compared with the same one.
    """

    difference: Interval
    p: float
    corrected: float

    @property
    def verdict(self) -> Verdict:
        """The verdict that follows from the corrected p-value."""
        if self.corrected >= LEVEL:
            return "no significant difference"
        return "better" if self.difference.mean > 0 else "worse"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.difference._asdict(), "p": self.p, "p_corrected": self.corrected, "verdict": self.verdict}


@dataclass(frozen=True)
class Cost:
    """The cost of one run, averaged over seeds; 0 steps for the base model.

    Args:
        steps: Optimiser steps.
        seconds: Time of the run in seconds: loading, preparation before the first step, training and saving.
        seconds_a_step: Seconds per step; None if the run was too short to measure it.
        memory: Peak memory of the process in bytes; None if the system does not report it.
        gpu_memory: Peak memory of tensors on the GPU in bytes; None without a GPU.
        ms_per_query: Time of a query in milliseconds: to search, to rerank what the base model finds, or to score all
            candidates; None if the task has no queries.
        trained: Number of trained parameters; None in results of earlier versions.
        ms_per_text: Least time to encode a text in milliseconds, in a search; None if it was not measured.
    """

    steps: int
    seconds: float
    seconds_a_step: float | None
    memory: int | None
    gpu_memory: int | None
    ms_per_query: float | None = None
    trained: int | None = None
    ms_per_text: float | None = None


@dataclass(frozen=True)
class Ranked:
    """One line of the ranking.

    Args:
        rank: Rank, from 1.
        name: Name of the recipe, or `base` for the base model.
        score: The primary metric with its 95% interval over seeds and items.
        by_seed: The primary metric of each seed.
        baseline: Difference to the baseline; None for the baseline itself.
        base: Difference to the base model; None for the base model itself, or if that was not evaluated.
        best: Difference to the first model of the ranking; None for that model itself.
        cost: The cost of a run.
    """

    rank: int
    name: str
    score: Interval
    by_seed: tuple[float, ...]
    baseline: Against | None
    base: Against | None
    best: Against | None
    cost: Cost

    @property
    def verdict(self) -> Verdict:
        """The verdict of the comparison with the baseline."""
        return "baseline" if self.baseline is None else self.baseline.verdict

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        against = {"baseline": self.baseline, "base": self.base, "best": self.best}
        return {
            "rank": self.rank,
            "name": self.name,
            "score": self.score.mean,
            "low": self.score.low,
            "high": self.score.high,
            "by_seed": list(self.by_seed),
            "verdict": self.verdict,
            **{f"against_{name}": None if found is None else found.as_dict() for name, found in against.items()},
            "cost": dict(vars(self.cost)),
        }


def is_base(name: str) -> bool:
    """Whether this is a base model: `base`, or `base NAME` where there are several."""
    return name.partition(" ")[0] == BASE


def label(name: str) -> str:
    """The name of a model on pages and in tables."""
    return f"base model{name.removeprefix(BASE)}" if is_base(name) else name


def choose_baseline(recipes: Sequence[str]) -> str:
    """infonce, simcse, or the first of the recipes; the base model if there are no recipes."""
    return next((name for name in ("infonce", "simcse", *recipes) if name in recipes), BASE)


def rank(found: Mapping[str, Sequence[Mapping[str, Any]]], baseline: str, seed: int = 0) -> list[Ranked]:
    """Rank models by their primary metric.

    Args:
        found: For each model the results of all seeds, as the worker writes them; only one for `base`, if that was
            evaluated.
        baseline: Name of the model that the others are tested against.
        seed: Random seed of the resampling of a correlation.
    """
    import numpy as np

    first = next(iter(found.values()))[0]
    ranked_by_correlation = first["task"] == "sts"
    column = "similarity" if ranked_by_correlation else first["primary"]
    values: dict[str, np.ndarray] = {
        name: np.array([run["per_item"][column] for run in runs], dtype=np.float64) for name, runs in found.items()
    }
    gold = np.array(first["per_item"]["score"]) if ranked_by_correlation else None
    estimates = estimate(values, gold, seed=seed)
    # If scores are equal, the base model comes first, because it needs no training.
    order = sorted(estimates.names, key=lambda name: (-round(estimates.mean(name).mean, 12), not is_base(name)))
    to_baseline, to_best = (_against(estimates, order, other) for other in (baseline, order[0]))
    to_base = _against(estimates, order, BASE) if BASE in order else {}
    return [
        Ranked(
            place,
            name,
            estimates.mean(name),
            tuple(run["metrics"][first["primary"]] or 0.0 for run in found[name]),
            to_baseline.get(name),
            to_base.get(name),
            to_best.get(name),
            _cost(found[name]),
        )
        for place, name in enumerate(order, 1)
    ]


def _against(estimates: Estimates, names: Sequence[str], other: str) -> dict[str, Against]:
    rest = [name for name in names if name != other]
    p = [estimates.p_value(name, other) for name in rest]
    return {
        name: Against(estimates.difference(name, other), raw, corrected)
        for name, raw, corrected in zip(rest, p, holm(p), strict=True)
    }


def _cost(runs: Sequence[Mapping[str, Any]]) -> Cost:
    costs = [run["cost"] for run in runs if "cost" in run]
    times = [list(run["ms_per_query"].values())[-1] for run in runs if run.get("ms_per_query")]
    per_query = sum(times) / len(times) if times else None
    per_text = min((run["ms_per_text"] for run in runs if run.get("ms_per_text") is not None), default=None)
    if not costs:
        return Cost(0, 0.0, None, None, None, per_query, 0, per_text)

    def mean(key: str) -> float | None:
        known = [cost[key] for cost in costs if cost[key] is not None]
        return sum(known) / len(known) if known else None

    def most(key: str) -> int | None:
        return max((cost[key] for cost in costs if cost[key] is not None), default=None)

    seconds = mean("seconds")
    assert seconds is not None
    memory = most("memory"), most("gpu_memory")
    return Cost(
        costs[0]["steps"], seconds, mean("seconds_a_step"), *memory, per_query, costs[0].get("trained"), per_text
    )


def recommended(ranking: Sequence[Ranked], chance: Chance | None = None) -> Ranked | None:
    """The cheapest of the leading models that are significantly better than the base model, or the base model.

    If the base model was not evaluated, the cheapest of the leading models; None if all are at chance.

    Args:
        ranking: All models.
        chance: What guessing scores, if it explains all scores; otherwise None.
    """
    base = next((row for row in ranking if row.name == BASE), None)
    leaders = [] if chance is not None else tied(ranking)
    if base is not None:
        better = [row for row in leaders if row.base is not None and row.base.verdict == "better"]
        leaders = [] if _all_at_ceiling(ranking) else better
    return min(leaders, key=lambda row: row.cost.seconds, default=base)


def tied(ranking: Sequence[Ranked]) -> list[Ranked]:
    """The first model of the ranking, and all models that do not differ from it significantly."""
    return [row for row in ranking if row.best is None or row.best.verdict == "no significant difference"]


def recommendation(ranking: Sequence[Ranked], metric: str, chance: Chance | None = None) -> str:
    """The recommendation in one sentence.

    Args:
        ranking: All models.
        metric: The name of the primary metric.
        chance: What guessing scores, if it explains all scores; otherwise None.
    """
    chosen, first = recommended(ranking, chance), next((row for row in ranking if row.name != BASE), None)
    keep = f"Keep the {label(BASE)}" if any(row.name == BASE for row in ranking) else "Use no model yet"
    if _all_at_ceiling(ranking):
        advice = keep if chosen is None or chosen.name == BASE else f"Use {chosen.name}, the cheapest"
        return (
            f"{advice}: {metric} is {CEILING:.3f} or more for all {len(ranking)} models and cannot be above "
            "1, so this evaluation shows no difference; compare on harder data."
        )
    if chance is not None:
        return (
            f"{keep}: no model is significantly better than chance ({metric} {chance.high:.3f}), so the "
            "order means nothing; compare on more data, or on another task."
        )
    assert chosen is not None
    if len(ranking) == 1:
        low, high = chosen.score.low, chosen.score.high
        return (
            f"{chosen.name} is the only model: {metric} {chosen.score.mean:.3f} (95% interval {low:.3f} to "
            f"{high:.3f}); name another recipe to compare it with."
        )
    if chosen.name == BASE:
        closest = (
            ""
            if first is None
            else f"; the difference of the first one, {first.name}, is {_gap(first.base)} in {metric}"
        )
        return f"Keep the base model: no recipe is significantly better{closest}."
    gain = f"Use {chosen.name}: {metric} {chosen.score.mean:.3f}"
    gain += "" if chosen.base is None else f", {_gap(chosen.base)} over the base model"
    leaders = [row for row in tied(ranking) if row.name != BASE]
    if len(leaders) == 1:
        rest = [row for row in ranking if row.name not in (chosen.name, BASE)]
        then = f"; it is better than every other model (next: {rest[0].name}, {_gap(rest[0].best)})" if rest else ""
        return f"{gain}{then}."
    others = _listed([row.name for row in leaders if row is not chosen])
    sure = [row for row in leaders if chosen.base is None or (row.base is not None and row.base.verdict == "better")]
    of = "of these" if len(sure) == len(leaders) else "of the recipes that are significantly better than the base model"
    least = f"and it is the cheapest {of} ({chosen.cost.seconds:,.0f} s)"
    return f"{gain}. There is no significant difference to {others}, {least}."


def against_baseline(ranking: Sequence[Ranked], chance: Chance | None = None) -> str:
    """Which models are significantly better than the baseline, and which are not; for `chance` see `recommended`."""
    if chance is not None:
        return "No difference can be measured: all models are at chance."
    if _all_at_ceiling(ranking):
        return "No difference can be measured: all models have the highest possible score."
    if len(ranking) == 1:
        return "No difference can be measured: there is only one model."
    baseline = next(row.name for row in ranking if row.baseline is None)
    words: dict[Verdict, str] = {
        "better": f"Significantly better than {in_words(baseline)}",
        "no significant difference": "no significant difference",
        "worse": "significantly worse",
    }
    parts = []
    for verdict, words_of in words.items():
        names = [in_words(row.name) for row in ranking if row.verdict == verdict]
        if names or verdict == "better":
            parts.append(f"{words_of}: {_listed(names) if names else 'none'}")
    return "; ".join(parts) + "."


def _all_at_ceiling(ranking: Sequence[Ranked]) -> bool:
    return at_ceiling(*(row.score.mean for row in ranking))


def _gap(against: Against | None) -> str:
    assert against is not None
    mean, low, high = against.difference
    return f"{mean:+.3f} (95% interval {low:+.3f} to {high:+.3f})"


def in_words(name: str) -> str:
    """The name of a model within a sentence."""
    return f"the {label(name)}" if is_base(name) else name


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

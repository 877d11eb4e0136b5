"""The rungs of a search: each is a comparison of configurations on validation rows, in a folder of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nearfar.comparison.budget import Trial, by_minutes
from nearfar.comparison.halving import rungs, survivors
from nearfar.comparison.result import Failure
from nearfar.comparison.runner import Runner

if TYPE_CHECKING:
    from nearfar.comparison.configurations import Configuration
    from nearfar.comparison.folder import ComparisonFolder
    from nearfar.comparison.prepared import Prepared
    from nearfar.comparison.request import Request

__all__ = ["Climbed", "climb"]


@dataclass(frozen=True)
class Climbed:
    """The result of all rungs.

    Args:
        results: Validation results of the last rung: all seeds of each configuration.
        folder: Folder of the last rung.
        seeds: Number of seeds in the last rung.
        rungs: Steps, seeds and scores in each rung, for JSON.
        failures: Configurations that failed.
        budget: How the numbers of steps were decided.
    """

    results: dict[str, list[dict[str, Any]]]
    folder: ComparisonFolder
    seeds: int
    rungs: list[dict[str, Any]]
    failures: list[Failure]
    budget: dict[str, Any]


def climb(
    request: Request,
    folder: ComparisonFolder,
    choosing: Prepared,
    configurations: Mapping[str, Configuration],
    started: float,
) -> Climbed:
    """Run all rungs; runs that are done are skipped.

    Raises:
        InputError: The budget is too small for the first rung.
        RuntimeError: Every configuration failed.
    """
    minutes = _Minutes(request, folder, choosing, configurations, started) if request.budget is not None else None
    failures = [] if minutes is None else minutes.failures
    failed = {each.recipe for each in failures}
    left = {name: each for name, each in configurations.items() if name not in failed}
    plan, found, records = rungs(len(left), request.seeds), None, []
    place, seeds = folder, request.seeds
    for number, rung in enumerate(plan, 1):
        place = folder.rung(number)
        place.path.mkdir(parents=True, exist_ok=True)
        runner = Runner(replace(request, seeds=rung.seeds), place, choosing, left, base=False)
        if minutes is None:
            runner.count_rows(rung.share)
        else:
            runner.steps, runner.seeds = minutes.steps(place, list(left), rung.seeds, len(plan))
        place.write_budget({"steps": runner.steps, "seeds": runner.seeds})
        count = f"{len(left)} configurations" if len(left) > 1 else "1 configuration"
        request.say(f"rung {number} of {len(plan)}: {count}, {runner.seeds} seed{'s' * (runner.seeds > 1)} each")
        found, seeds = runner.run_all(), runner.seeds
        failures = [*failures, *found.failures]
        scores = {name: _mean(results) for name, results in found.results.items()}
        kept = survivors(scores, plan[number].configurations) if number < len(plan) else list(scores)
        records.append({"seeds": seeds, "steps": dict(runner.steps), "scores": scores, "kept": kept})
        left = {name: configurations[name] for name in kept}
    assert found is not None
    return Climbed(found.results, place, seeds, records, failures, {} if minutes is None else minutes.budget)


def _mean(results: list[dict[str, Any]]) -> float:
    scores = [run["metrics"][run["primary"]] or 0.0 for run in results]
    return sum(scores) / len(scores)


class _Minutes:
    """A budget of minutes: each rung has an equal share of what is left after the trials.

    Args:
        request, folder, choosing, configurations, started: As for `climb`.
    """

    def __init__(
        self,
        request: Request,
        folder: ComparisonFolder,
        choosing: Prepared,
        configurations: Mapping[str, Configuration],
        started: float,
    ) -> None:
        self.budget = folder.read_budget()
        trials = replace(folder, rows=folder.choosing)
        if not self.budget:
            assert request.budget is not None
            runner = Runner(request, trials, choosing, configurations, base=False)
            found, failed = runner.time_trials()
            spent = time.monotonic() - started
            self.budget = {
                "minutes": request.budget,
                "spent": spent,
                "failed": failed,
                "trials": {name: vars(trial) for name, trial in found.items()},
            }
            plan = rungs(len(found), request.seeds)
            self.steps(None, list(found), plan[0].seeds, len(plan))  # too small a budget is an error before any run
            folder.write_budget(self.budget)
        self.failures = [
            Failure(name, 0, reason, trials.logs / f"trial-{name}.log")
            for name, reason in self.budget["failed"].items()
        ]

    def steps(
        self, place: ComparisonFolder | None, names: list[str], seeds: int, count: int
    ) -> tuple[dict[str, int], int]:
        """The steps of each configuration in a rung, of `count` rungs, and how many seeds there is time for."""
        if place is not None and (known := place.read_budget()):
            return known["steps"], known["seeds"]
        trials = {name: Trial(**self.budget["trials"][name]) for name in names}
        spent, minutes = self.budget["spent"], self.budget["minutes"]
        # As if the other rungs had taken their share.
        return by_minutes(minutes, trials, seeds, spent + (60 * minutes - spent) * (count - 1) / count)

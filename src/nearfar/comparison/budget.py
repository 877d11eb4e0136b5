"""The number of steps of each recipe under an equal budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions
from nearfar.settings import FIELD

#: How the note begins that says so.
UNEQUAL = "Budgets are not equal"
#: Steps of a trial: enough to ignore the slow first step, but few, because they count towards the budget.
TRIAL_STEPS = 4
#: Number of checkpoints of a run. Each is several times the size of the model, so short runs must not write many.
SAVED = 5


@dataclass(frozen=True)
class Trial:
    """The timings of a trial.

    Args:
        pace: Seconds per step.
        fixed: Seconds of a run besides its steps: loading, preparation before the first step, saving.
        around: Seconds of the process besides the run: start and evaluation.
        stages: Number of stages of the plan; each needs at least one step.
    """

    pace: float
    fixed: float
    around: float
    stages: float


def by_rows(options: TrainingOptions, seen: float, rows: int, *, scored: bool = False) -> int:
    """The number of steps in which a recipe sees `seen` rows, in batches of its own size.

    Args:
        options: Options of the recipe.
        seen: Number of rows to see; a row counts as often as it is drawn.
        rows: Number of training rows.
        scored: Whether the rows are scored pairs, for which a recipe may have a separate batch size.
    """
    return max(1, round(seen / rows_in_step(options, rows, scored=scored)))


def rows_in_step(options: TrainingOptions, rows: int, *, scored: bool = False) -> int:
    """Rows that a step draws of `rows` training rows where all batches are full; arguments as those of `by_rows`."""
    size = getattr(options, "similarity_batch_size", options.batch_size) if scored else options.batch_size
    return min(size, rows) * options.gradient_accumulation


def by_minutes(minutes: float, trials: Mapping[str, Trial], seeds: int, spent: float) -> tuple[dict[str, int], int]:
    """The number of steps with which all runs take the same time, and `minutes` in total.

    Where there is no time for a step of every recipe with every seed, there are fewer seeds.

    Args:
        minutes: Total time in minutes, including trials and evaluation.
        trials: The trial of each recipe.
        seeds: Number of runs per recipe.
        spent: Seconds already spent.

    Returns:
        The steps of each recipe, and how many seeds there is time for.

    Raises:
        InputError: There is not enough time for one step of each recipe with one seed; the message says what takes it.
    """
    around = sum(trial.around for trial in trials.values())
    slowest = max(trials, key=lambda name: _least(trials[name]))

    def needed(count: int) -> float:
        return spent + count * (around + len(trials) * _least(trials[slowest]))

    fitting = next((count for count in range(seeds, 0, -1) if needed(count) <= 60 * minutes), 0)
    if not fitting:
        beside = max(trial.around + trial.fixed for trial in trials.values())
        enough, all_seeds = (math.ceil(needed(count) / 6) / 10 for count in (1, seeds))
        more = f" ({all_seeds:g} for {seeds} seeds)" if seeds > 1 else ""
        raise InputError(
            f"invalid budget {minutes:g}: must be at least {enough:g} minutes for one step of each recipe with one "
            f"seed; the work before the runs (base model, trials) took {spent:.0f} s, and each run needs up to "
            f"{beside:.0f} s besides its steps (start-up, loading, saving, evaluation)",
            field="--budget",
            remedy=f"use at least {enough:g} minutes{more}, or fewer recipes",
        )
    share = (60 * minutes - spent - fitting * around) / (fitting * len(trials))
    steps = {
        name: max(math.ceil(trial.stages), int((share - trial.fixed) / trial.pace)) for name, trial in trials.items()
    }
    return steps, fitting


def _least(trial: Trial) -> float:
    return trial.fixed + trial.pace * trial.stages


def trial_of(cost: Mapping[str, Any], whole: float) -> Trial:
    """The timings of a trial, from its cost and the seconds of the whole process."""
    steps, seconds = cost["steps"], cost["seconds"]
    # If only one step was timed: the whole time is an upper limit.
    pace = cost["seconds_a_step"] or seconds / steps
    return Trial(pace, max(0.0, seconds - steps * pace), max(0.0, whole - seconds), steps / TRIAL_STEPS)


def checkpoints(steps: int) -> int:
    """Steps between checkpoints."""
    return max(1, math.ceil(steps / SAVED))


def settings_for(
    recipes: Sequence[str], options: Mapping[str, type[TrainingOptions]], settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The settings of each recipe: `temperature` for all that have it, `infonce.temperature` only for infonce.

    Raises:
        InputError: No recipe in the comparison has the option, or a value is invalid.
    """
    from dataclasses import fields

    from nearfar.kinds.options import with_settings

    known = {name: {field.name for field in fields(options[name])} for name in recipes}
    found: dict[str, dict[str, Any]] = {name: {} for name in recipes}
    for own in (False, True):  # settings of one recipe override those of all
        for key, value in settings.items():
            recipe, point, option = key.partition(".")
            if bool(point) is not own:
                continue
            if point and recipe not in recipes:
                remedy = f"choose from {', '.join(recipes)}"
                raise InputError(f"{recipe!r} is not part of the comparison", field=FIELD, remedy=remedy)
            option = option if point else key
            takers = [recipe] if point else [name for name in recipes if option in known[name]]
            for name in takers or recipes[:1]:  # the first one raises an error that lists its options
                with_settings(options[name](), {option: value})
                found[name][option] = value
    return found

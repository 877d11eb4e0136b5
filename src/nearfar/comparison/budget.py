"""The number of steps of each recipe under an equal budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions
from nearfar.settings import FIELD

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


def by_rows(
    options: Mapping[str, TrainingOptions], rows: int, epochs: float, *, scored: bool = False
) -> dict[str, int]:
    """The number of steps in which each recipe sees `epochs` times `rows` rows, in batches of its own size.

    Args:
        options: Options of each recipe.
        rows: Number of training rows.
        epochs: Passes over the rows.
        scored: Whether the rows are scored pairs, for which a recipe may have a separate batch size.
    """
    found = {}
    for name, own in options.items():
        size = getattr(own, "similarity_batch_size", own.batch_size) if scored else own.batch_size
        in_step = min(size, rows) * own.gradient_accumulation
        found[name] = max(1, round(epochs * rows / in_step))
    return found


def by_minutes(minutes: float, trials: Mapping[str, Trial], seeds: int, spent: float) -> dict[str, int]:
    """The number of steps with which all runs take the same time, and `minutes` in total.

    Args:
        minutes: Total time in minutes, including trials and evaluation.
        trials: The trial of each recipe.
        seeds: Number of runs per recipe.
        spent: Seconds already spent.

    Raises:
        InputError: There is not enough time for a single step of some recipe; the message gives the minimum.
    """
    around = seeds * sum(trial.around for trial in trials.values())
    runs = seeds * len(trials)
    share = (60 * minutes - spent - around) / runs
    slowest = max(trials, key=lambda name: _least(trials[name]))
    if share < _least(trials[slowest]):
        least = math.ceil((spent + around + runs * _least(trials[slowest])) / 6) / 10
        raise InputError(
            f"invalid budget {minutes:g}: must be at least {least:g} minutes, for one step of {slowest} with each seed",
            field="--budget",
            remedy="use more minutes, fewer recipes or fewer seeds",
        )
    return {
        name: max(math.ceil(trial.stages), int((share - trial.fixed) / trial.pace)) for name, trial in trials.items()
    }


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

"""How many steps each recipe may take, so that none is given more than another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions

#: How the note begins that says so.
UNEQUAL = "Budgets are not equal"
#: Steps of a trial: enough that the first, which warms up, can be left out, and few, as they count.
TRIAL_STEPS = 4
#: Checkpoints over a run. Each is several times the size of the model, so a short run must not write many.
SAVED = 5


@dataclass(frozen=True)
class Trial:
    """What a short training told.

    Args:
        pace: Seconds a step.
        fixed: Seconds of a training beside its steps: loading, what a recipe does before the first, saving.
        around: Seconds of the process beside the training: starting, measuring.
        stages: How many stages the plan has; each takes at least one step.
    """

    pace: float
    fixed: float
    around: float
    stages: float


def by_rows(
    options: Mapping[str, TrainingOptions], rows: int, epochs: float, *, scored: bool = False
) -> dict[str, int]:
    """Steps in which each recipe sees as many rows as the others: `epochs` times `rows`, in batches of its own size.

    Args:
        options: Of each recipe.
        rows: Training rows.
        epochs: Passes over them.
        scored: They are scored pairs, for which a recipe may have a batch size of their own.
    """
    found = {}
    for name, own in options.items():
        size = getattr(own, "similarity_batch_size", own.batch_size) if scored else own.batch_size
        in_step = min(size, rows) * own.gradient_accumulation
        found[name] = max(1, round(epochs * rows / in_step))
    return found


def by_minutes(minutes: float, trials: Mapping[str, Trial], seeds: int, spent: float) -> dict[str, int]:
    """Steps with which every training takes as long as any other, and all of them together the minutes given.

    Args:
        minutes: For everything: trials, trainings, measuring.
        trials: Of each recipe.
        seeds: Trainings of each.
        spent: Seconds that are gone already.

    Raises:
        InputError: there is no time for a single step of some recipe; with the minutes that would do.
    """
    around = seeds * sum(trial.around for trial in trials.values())
    runs = seeds * len(trials)
    share = (60 * minutes - spent - around) / runs
    slowest = max(trials, key=lambda name: _least(trials[name]))
    if share < _least(trials[slowest]):
        least = math.ceil((spent + around + runs * _least(trials[slowest])) / 6) / 10
        raise InputError(
            f"{minutes:g} minutes are too few: one step of {slowest} for each seed needs {least:g}",
            field="--budget",
            remedy="give more minutes, fewer recipes or fewer seeds",
        )
    return {
        name: max(math.ceil(trial.stages), int((share - trial.fixed) / trial.pace)) for name, trial in trials.items()
    }


def _least(trial: Trial) -> float:
    return trial.fixed + trial.pace * trial.stages


def trial_of(cost: Mapping[str, Any], whole: float) -> Trial:
    """What the trial's cost says, and the seconds of the whole process."""
    steps, seconds = cost["steps"], cost["seconds"]
    # Without a second step on the clock: no slower than the whole.
    pace = cost["seconds_a_step"] or seconds / steps
    return Trial(pace, max(0.0, seconds - steps * pace), max(0.0, whole - seconds), steps / TRIAL_STEPS)


def checkpoints(steps: int) -> int:
    """Steps between them."""
    return max(1, math.ceil(steps / SAVED))


def settings_for(
    recipes: Sequence[str], options: Mapping[str, type[TrainingOptions]], settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Settings of each recipe: `temperature` for all that have one, `infonce.temperature` for that one alone.

    Raises:
        InputError: no recipe that takes part has the option, or a value does not fit.
    """
    from dataclasses import fields

    from nearfar.kinds.options import with_settings

    known = {name: {field.name for field in fields(options[name])} for name in recipes}
    found: dict[str, dict[str, Any]] = {name: {} for name in recipes}
    for own in (False, True):  # what is said of one recipe stands above what is said of all
        for key, value in settings.items():
            recipe, point, option = key.partition(".")
            if bool(point) is not own:
                continue
            if point and recipe not in recipes:
                remedy = f"those that do are {', '.join(recipes)}"
                raise InputError(f"{recipe!r} takes no part", field="--set", remedy=remedy)
            option = option if point else key
            takers = [recipe] if point else [name for name in recipes if option in known[name]]
            for name in takers or recipes[:1]:  # the first says which options there are
                with_settings(options[name](), {option: value})
                found[name][option] = value
    return found

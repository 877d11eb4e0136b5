"""How many steps each recipe may take, so that none is given more than another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.errors import InputError
from nearfar.kinds.options import TrainingOptions

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
    in_step = {name: rows_in_step(own, rows, scored=scored) for name, own in options.items()}
    return {name: max(1, round(epochs * rows / each)) for name, each in in_step.items()}


def rows_in_step(options: TrainingOptions, rows: int, *, scored: bool = False) -> int:
    """Rows that a step draws where all batches are full; arguments as those of `by_rows`."""
    size = getattr(options, "similarity_batch_size", options.batch_size) if scored else options.batch_size
    return min(size, rows) * options.gradient_accumulation


def by_minutes(minutes: float, trials: Mapping[str, Trial], seeds: int, spent: float) -> tuple[dict[str, int], int]:
    """Steps with which every training takes as long as any other, and all of them together the minutes given.

    Where there is no time for a step of every recipe with every seed, there are fewer seeds.

    Args:
        minutes: For everything: trials, trainings, measuring.
        trials: Of each recipe.
        seeds: Trainings of each that were asked for.
        spent: Seconds that are gone already.

    Returns:
        The steps of each recipe, and how many seeds there is time for.

    Raises:
        InputError: there is no time for a single step of each recipe with one seed; it says what the time is made of.
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
            f"{minutes:g} minutes are too few: the base model's measurement and the trials took {spent:.0f} s, and "
            f"each training takes up to {beside:.0f} s beside its steps (start-up, loading, saving, measuring); "
            f"one step of each recipe with one seed needs {enough:g} minutes in all",
            field="--budget",
            remedy=f"give at least {enough:g} minutes{more}, or fewer recipes",
        )
    share = (60 * minutes - spent - fitting * around) / (fitting * len(trials))
    steps = {
        name: max(math.ceil(trial.stages), int((share - trial.fixed) / trial.pace)) for name, trial in trials.items()
    }
    return steps, fitting


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

"""Training a plan: one stage after another, each from its last checkpoint, measured after each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.kinds.kind import Kind, Progress, Setting
from nearfar.kinds.options import TrainingOptions, with_settings
from nearfar.kinds.plan import Plan, Stage, staged_options
from nearfar.models.prompts import MODEL
from nearfar.training.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nearfar.evaluation import Result

__all__ = ["Prepared", "Trained", "prepared", "train_plan", "train_stages"]


def train_plan(
    plan: Plan, options: TrainingOptions, folder: str | Path, seed: int, *, progress: Progress | None = None
) -> Trained:
    """Train a plan's model in place, outside a run: nothing but checkpoints is written.

    Args:
        plan: What a recipe's `prepare` returned.
        options: How long, how large, how fast.
        folder: Checkpoints go into `folder/checkpoints`.
        seed: Decides order, dropout and new parameters.
        progress: Called with step, number of steps of all stages, latest loss.
    """
    return train_stages(prepared(plan, options), RunFolder(Path(folder)), seed, progress=progress)


@dataclass(frozen=True)
class Prepared:
    """A plan whose first stage has been made and checked, before anything is trained.

    Args:
        plan: What the recipe returned.
        model: The plan's model, as its kind.
        first: The first stage.
        rest: The others.
        options: Of each stage.
    """

    plan: Plan
    model: Kind
    first: Stage
    rest: Iterator[Stage]
    options: list[TrainingOptions]


@dataclass(frozen=True)
class Trained:
    """What all stages of a run have left behind, beside the model.

    Args:
        steps: Optimiser steps of all stages.
        log: What the trainer logged; `step` counts through all stages.
        stages: Name, steps and, where there is held-out data, the result after each stage.
        facts: What `metrics.json` records of the model and its training.
        drawn: The rows that were drawn and those that were left out, of each stage and dataset.
    """

    steps: int
    log: list[dict[str, float]]
    stages: list[tuple[str, int, Result | None]]
    facts: dict[str, Any]
    drawn: list[dict[str, Any]]


def prepared(plan: Plan, options: TrainingOptions, trial: int = 0) -> Prepared:
    """Make the first stage and check that it can be trained.

    Args:
        plan: What the recipe's `prepare` returned.
        options: Of the run.
        trial: Steps of each stage in a trial; 0: as the options say.

    Raises:
        InputError: no batch can be drawn, or there are fewer steps than stages.
    """
    from nearfar.kinds.loading import of

    model = of(plan.model)
    if options.prompts != MODEL and not model.prompted:
        problem = f"the recipe trains {model.words}, which reads no prompts"
        raise InputError(problem, field="prompts", remedy="remove it")
    model.configure(options)
    each = [replace(options, max_steps=trial)] * (plan.count or 1) if trial else staged_options(options, plan)
    stages = iter(plan)
    first = next(stages)
    own = _own(first, each[0])
    model.check_stage(first, own)
    return Prepared(plan, model, first, stages, each)


def train_stages(
    prepared: Prepared,
    folder: RunFolder,
    seed: int,
    *,
    measure: Callable[[], Result] | None = None,
    progress: Progress | None = None,
    rows_in_step: int = 0,
) -> Trained:
    """Train a plan's model in place, each stage from its last checkpoint in `folder`.

    Args:
        prepared: The plan.
        folder: Of the run.
        seed: Decides order, dropout and new parameters, of each stage anew.
        measure: The result on held-out data, called after each stage but the last, and every `eval_steps`.
        progress: Called with step, number of steps of all stages, latest loss.
        rows_in_step: Rows that a step of `max_steps` stands for; 0: steps are steps.

    Raises:
        ValueError: the generator yields another number of stages than the plan said.
    """
    from transformers import set_seed

    model, options = prepared.model, prepared.options
    steps, log, stages, trainers, drawn = 0, [], [], [], []
    stage: Stage | None = prepared.first
    number = 0
    while stage is not None:
        number += 1
        if number > len(options):
            raise ValueError(f"the plan has {len(options)} stages, and its generator yields more")
        own = _own(stage, options[number - 1])
        if number > 1:
            model.check_stage(stage, own)
        setting = Setting(
            folder.checkpoints_of(number),
            seed,
            None if measure is None else _primary(measure),
            None if progress is None else _shifted(progress, steps, len(options) - number),
            own.max_steps * rows_in_step,
        )
        trainer = model.trainer(stage, own, setting)
        set_seed(seed)
        trainer.train_or_resume(folder.last_checkpoint(number))
        model.module.eval()
        log += [{**entry, "step": steps + entry["step"]} for entry in trainer.state.log_history]
        steps += trainer.state.global_step
        trainers.append(trainer)
        last = number == len(options)
        found = None if measure is None or last else measure()
        name = stage.name or f"stage {number}"
        drawn += [{"stage": name, **each} for each in trainer.drawn]
        stages.append((name, trainer.state.global_step, found))
        set_seed(seed)
        stage = next(prepared.rest, None)
    if number < len(options):
        raise ValueError(f"the plan has {len(options)} stages, and its generator yields {number}")
    return Trained(steps, log, stages, model.facts(trainers), drawn)


#: Options that say how long the whole plan trains.
_OF_THE_PLAN = ("epochs", "max_steps")


def _own(stage: Stage, options: TrainingOptions) -> TrainingOptions:
    """The options of a stage with its own settings."""
    if not stage.settings:
        return options
    if options.max_steps and set(_OF_THE_PLAN) & set(stage.settings):
        settings = {name: value for name, value in stage.settings.items() if name not in _OF_THE_PLAN}
    else:
        settings = dict(stage.settings)
    if "max_steps" in settings:
        raise InputError("a stage cannot set it: it holds for the whole plan", field="max_steps", remedy="set epochs")
    return with_settings(options, settings)


def _primary(measure: Callable[[], Result]) -> Callable[[], Mapping[str, float]]:
    def named() -> dict[str, float]:
        result = measure()
        return {result.primary: result.score}

    return named


def _shifted(progress: Progress, done: int, after: int) -> Progress:
    """Count through all stages; later ones are taken to be as long as this one."""

    def update(step: int, of: int, loss: float | None) -> None:
        progress(done + step, done + of * (1 + after), loss)

    return update

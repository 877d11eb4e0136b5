"""Trains a plan stage by stage, each from its last checkpoint, with an evaluation after each stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.kinds._processes import of_all
from nearfar.kinds.kind import Kind, Progress, Setting
from nearfar.kinds.options import TrainingOptions, with_settings
from nearfar.kinds.plan import Plan, Stage, staged_options
from nearfar.models.adapters import merge_adapters
from nearfar.models.checkpointing import keep_less
from nearfar.models.prompts import MODEL
from nearfar.training.adapting import BaseModel, adapter_facts, add_adapters
from nearfar.training.folder import RunFolder
from nearfar.training.plan_steps import PlanSteps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nearfar.evaluation import Result

__all__ = ["Prepared", "Trained", "prepared", "train_plan", "train_stages"]


def train_plan(
    plan: Plan, options: TrainingOptions, folder: str | Path, seed: int, *, progress: Progress | None = None
) -> Trained:
    """Train a plan's model in place, outside a run: only checkpoints are written.

    Args:
        plan: The plan that a recipe's `prepare` returned.
        options: The training options.
        folder: Checkpoints are written to `folder/checkpoints`.
        seed: Random seed for the order of rows, dropout and new parameters.
        progress: Called with step, number of steps of all stages, latest loss.
    """
    return train_stages(prepared(plan, options), RunFolder(Path(folder)), seed, progress=progress)


@dataclass(frozen=True)
class Prepared:
    """A plan whose first stage has been created and checked, before any training.

    Args:
        plan: The plan that the recipe returned.
        model: The plan's model, as its kind.
        first: The first stage.
        rest: The other stages.
        options: Options of each stage.
    """

    plan: Plan
    model: Kind
    first: Stage
    rest: Iterator[Stage]
    options: list[TrainingOptions]

    def prompts(self) -> dict[str, Any]:
        """What stands before the texts of each column in the first stage; of several datasets for each, by its name."""
        return self.model.prompts_in_training(self.first, _own(self.first, self.options[0]))


@dataclass(frozen=True)
class Trained:
    """The results of all stages of a run, besides the model.

    Args:
        steps: Number of optimiser steps of all stages.
        log: The trainer's log; `step` counts the steps of all stages.
        stages: Name, number of steps and, with held-out data, the result of each stage.
        facts: Facts about the model and its training for `metrics.json`.
        drawn: The rows that were drawn and those that were left out, for each stage and dataset.
        followed: For each stage that followed a metric of validation rows, its best step and value, and whether it
            stopped early.
    """

    steps: int
    log: list[dict[str, float]]
    stages: list[tuple[str, int, Result | None]]
    facts: dict[str, Any]
    drawn: list[dict[str, Any]]
    followed: list[dict[str, Any]]


def prepared(plan: Plan, options: TrainingOptions, trial: int = 0, *, base: BaseModel | None = None) -> Prepared:
    """Create the first stage, and check that it can be trained.

    Args:
        plan: The plan that the recipe's `prepare` returned.
        options: Options of the run.
        trial: Steps of each stage in a trial; 0: no trial.
        base: What was loaded, and gets a LoRA if the options say so; what the recipe added is trained in full. None:
            all of the plan's model.

    Raises:
        InputError: No batch can be drawn, there are fewer steps than stages, or an option is not for the model.
    """
    from nearfar.kinds.loading import of

    model = of(plan.model)
    if options.prompts != MODEL and not model.prompted:
        problem = f"the recipe trains {model.words}, which reads no prompts"
        raise InputError(problem, field="prompts", remedy="remove it")
    if options.pooling != "own" and not model.pooled:
        problem = f"the recipe trains {model.words}, which has no pooling"
        raise InputError(problem, field="pooling", remedy="remove it")
    if options.mini_batch_num_tokens and not model.chunked:
        problem = f"the recipe trains {model.words}, whose batches are not divided"
        raise InputError(problem, field="mini_batch_num_tokens", remedy="remove it")
    if options.gradient_checkpointing:
        keep_less(model.module)
    model.configure(options)
    if options.lora_rank:
        add_adapters(model, options, base)
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
    validate: Callable[[], Result] | None = None,
    metric: str = "",
    arguments: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    rows_in_step: int = 0,
    rows: Sequence[int] | None = None,
) -> Trained:
    """Train a plan's model in place, each stage from its last checkpoint in `folder`.

    Args:
        prepared: The plan.
        folder: Folder of the run.
        seed: Random seed for the order of rows, dropout and new parameters; set again for each stage.
        measure: Evaluates on held-out data; called after each stage except the last, and every `eval_steps` steps.
        validate: Evaluates on validation rows, every `eval_steps` steps in place of `measure`.
        metric: The primary metric of `validate`.
        arguments: Further arguments of the Hugging Face trainer.
        progress: Called with step, number of steps of all stages, latest loss.
        rows_in_step: Rows that a step of `max_steps` stands for; 0: steps are steps.
        rows: Number of rows of each stage, if they are known, for progress alone.

    Raises:
        ValueError: The generator yields another number of stages than `count`.
    """
    from transformers import set_seed

    model, options = prepared.model, prepared.options
    expected = PlanSteps(prepared.plan, options, _own, rows, bool(rows_in_step))
    steps, log, stages, trainers, drawn, followed = 0, [], [], [], [], []
    during = measure if validate is None else validate
    stage: Stage | None = prepared.first
    number = 0
    while stage is not None:
        number += 1
        if number > len(options):
            raise ValueError(f"expected {len(options)} stages, but the plan's generator yields more")
        own = _own(stage, options[number - 1])
        if number > 1:
            model.check_stage(stage, own)
        setting = Setting(
            folder.checkpoints_of(number),
            seed,
            None if during is None else _primary(during),
            None if progress is None else expected.progress(progress, number, steps),
            own.max_steps * rows_in_step,
            "" if validate is None else metric,
            arguments or {},
        )
        trainer = model.trainer(stage, own, setting)
        set_seed(seed)
        trainer.train_or_resume(_checkpoint_of_all(folder, number))
        model.module.eval()
        log += [{**entry, "step": steps + entry["step"]} for entry in trainer.state.log_history]
        steps += trainer.state.global_step
        trainers.append(trainer)
        last = number == len(options)
        found = None if measure is None or last else measure()
        name = stage.name or f"stage {number}"
        drawn += [{"stage": name, **each} for each in trainer.drawn]
        if trainer.follow is not None:
            found_best = {"step": trainer.follow.step, "value": trainer.follow.value if trainer.follow.step else None}
            followed.append({"stage": name, **found_best, "stopped_early": trainer.follow.stopped})
        stages.append((name, trainer.state.global_step, found))
        set_seed(seed)
        stage = next(prepared.rest, None)
    if number < len(options):
        raise ValueError(f"expected {len(options)} stages, but the plan's generator yields {number}")
    facts = {**model.facts(trainers), **adapter_facts(model)}
    if any(each.lora_merge for each in options):
        merge_adapters(model.module)
    return Trained(steps, log, stages, facts, drawn, followed)


def _checkpoint_of_all(folder: RunFolder, stage: int) -> Path | None:
    """The last checkpoint of a stage.

    Raises:
        InputError: Not all processes see the same, because their hosts share no file system.
    """
    found = folder.last_checkpoint(stage)
    seen = set(of_all(None if found is None else found.name))
    if len(seen) > 1:
        shown = " and ".join(sorted(str(each or "none") for each in seen))
        remedy = "put the run folder on a file system that all hosts share"
        problem = f"expected the same checkpoint in all processes, got {shown}"
        raise InputError(problem, file=folder.checkpoints_of(stage), field="--out", remedy=remedy)
    return found


#: Options for the length of the whole training.
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
        raise InputError("a stage cannot set this option of the whole plan", field="max_steps", remedy="set epochs")
    return with_settings(options, settings)


def _primary(measure: Callable[[], Result]) -> Callable[[], Mapping[str, float]]:
    def named() -> dict[str, float]:
        result = measure()
        return {result.primary: result.score}

    return named

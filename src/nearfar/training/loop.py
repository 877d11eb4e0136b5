"""From a recipe's plan to a trained model, by Hugging Face's trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.kinds._arguments import common_arguments
from nearfar.kinds.options import TrainingOptions
from nearfar.training.folder import processes

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data import Retrieval
    from nearfar.kinds._sampling import Part
    from nearfar.kinds._trainer import Progress, Trainer
    from nearfar.recipes._recipe import Plan
    from nearfar.training.folder import RunFolder


@dataclass(frozen=True)
class Trained:
    """What all stages of a run have left behind, beside the encoder.

    Args:
        steps: Optimiser steps of all stages.
        log: What the trainer logged; `step` counts through all stages.
        plan: The last stage's.
    """

    steps: int
    log: list[dict[str, float]]
    plan: Plan


def train_stages(
    encoder: SentenceTransformer,
    plan: Plan,
    options: TrainingOptions,
    folder: RunFolder,
    seed: int,
    *,
    held_out: Dataset | Retrieval | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train `encoder` in place by a plan and those that follow from it, each from its last checkpoint in `folder`."""
    from transformers import set_seed

    steps, log = 0, []
    for stage in count(1):
        trainer = train_plan(
            encoder,
            plan,
            options,
            folder.checkpoints_of(stage),
            seed,
            last=folder.last_checkpoint(stage),
            held_out=held_out,
            progress=progress,
        )
        log += [{**entry, "step": steps + entry["step"]} for entry in trainer.state.log_history]
        steps += trainer.state.global_step
        if plan.then is None:
            break
        set_seed(seed)
        plan = plan.then()
        check_batches(plan, options)
    return Trained(steps, log, plan)


def train_plan(
    encoder: SentenceTransformer,
    plan: Plan,
    options: TrainingOptions,
    checkpoints: str | Path,
    seed: int,
    *,
    last: Path | None = None,
    held_out: Dataset | Retrieval | None = None,
    progress: Progress | None = None,
) -> Trainer:
    """Train `encoder` in place.

    Args:
        encoder: The model that the plan was made for.
        plan: What a recipe's `prepare` returned.
        options: How long, how large, how fast.
        checkpoints: The folder for checkpoints.
        seed: Decides order, dropout and new parameters.
        last: The checkpoint to go on from.
        held_out: What to measure on every `eval_steps`.
        progress: Called with step, steps in all, latest loss.

    Returns:
        The trainer, whose `state` holds the steps and the log.
    """
    from transformers import set_seed

    trainer = trainer_for(encoder, plan, options, checkpoints, seed, held_out=held_out, progress=progress)
    set_seed(seed)
    trainer.train_or_resume(last)
    encoder.eval()
    return trainer


def trainer_for(
    encoder: SentenceTransformer,
    plan: Plan,
    options: TrainingOptions,
    checkpoints: str | Path,
    seed: int,
    *,
    held_out: Dataset | Retrieval | None = None,
    progress: Progress | None = None,
) -> Trainer:
    """The trainer before its first step; arguments as of `train_plan`."""
    from sentence_transformers import SentenceTransformerTrainingArguments
    from transformers import PrinterCallback, TrainerCallback

    from nearfar.kinds._sampling import parts_of
    from nearfar.kinds._trainer import HeldOutEvaluator, MarkComplete, ProgressCallback, Trainer

    parts = parts_of(plan, options)
    per_epoch = sum(max(1, len(part.rows) // part.size) // options.gradient_accumulation for part in parts)
    gpu = encoder.device.type == "cuda"
    arguments = SentenceTransformerTrainingArguments(
        **common_arguments(options, checkpoints, seed, per_epoch=per_epoch, measured=held_out is not None, gpu=gpu),
        learning_rate_mapping={
            names: factor * options.learning_rate for names, factor in (plan.learning_rates or {}).items()
        },
        router_mapping=_routes(encoder, parts),
        use_cpu=encoder.device.type == "cpu",
        # What sentence-transformers does not know by name, the trainer gives to a sampler of ours.
        batch_sampler=plan.batches if plan.batches in ("no_duplicates", "group_by_label") else "batch_sampler",
        dataloader_drop_last=_drop_last(parts),
    )
    callbacks: list[TrainerCallback] = [MarkComplete()]
    if progress is not None:
        callbacks.append(ProgressCallback(progress))
    evaluator = HeldOutEvaluator(held_out, seed) if options.eval_steps and held_out is not None else None
    loss: Any = dict(plan.loss) if isinstance(plan.loss, Mapping) else plan.loss
    trainer = Trainer(encoder, arguments, plan.rows, loss=loss, evaluator=evaluator, callbacks=callbacks)
    trainer.parts = parts
    trainer.remove_callback(PrinterCallback)
    if options.max_length:
        # In training alone: what the model can read afterwards, and is measured with, stays its own.
        trainer.data_collator.max_length = options.max_length
    return trainer


def check_batches(plan: Plan, options: TrainingOptions) -> None:
    """What the samplers of sentence-transformers would refuse, or answer with no batch at all."""
    from nearfar.kinds._sampling import check_part, parts_of

    parts = parts_of(plan, options)
    for part in parts:
        check_part(part, _drop_last(parts), processes() * options.gradient_accumulation)


def _routes(encoder: SentenceTransformer, parts: Sequence[Part]) -> dict[str, Any]:
    """Which of the model's towers reads which column; of several data sets for each."""
    from nearfar.models.towers.columns import column_routes

    found = {part.name: column_routes(encoder, part.rows.column_names) for part in parts}
    return found[None] if None in found else {str(name): routes for name, routes in found.items() if routes}


def _drop_last(parts: Sequence[Part]) -> bool:
    """A last batch of a few rows has few negatives and a loss of its own scale; only tiny data needs it."""
    return len(parts) > 1 or len(parts[0].rows) >= parts[0].size

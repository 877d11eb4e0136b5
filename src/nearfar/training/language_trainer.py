"""transformers' trainer for blocks of tokens, with a loss of our own and a clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from nearfar.kinds._arguments import common_arguments
from nearfar.kinds._trainer import MarkComplete, Progress, ProgressCallback, Resumable
from nearfar.kinds.options import LanguageOptions
from nearfar.training.folder import processes

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.recipes._recipe import LanguagePlan


class LanguageTrainer(Resumable, Trainer):
    """Trains a plan's model on blocks, by the plan's loss.

    Args:
        plan: Model and loss.
        arguments: As transformers takes them.
        blocks: Column `input_ids`.
        held_out: The same, measured on where `arguments` ask for it.
        callbacks: Further ones.
    """

    def __init__(
        self,
        plan: LanguagePlan,
        arguments: TrainingArguments,
        blocks: Dataset,
        held_out: Dataset | None,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        self.objective, self.clock = plan.loss, Clock()
        super().__init__(
            plan.model,
            arguments,
            data_collator=stacked,
            train_dataset=blocks,  # type: ignore[arg-type]
            eval_dataset=held_out,  # type: ignore[arg-type]
            callbacks=[*callbacks, self.clock],
        )
        # Every batch has as many tokens as any other, so means of batches are averaged over one step.
        self.loss_is_scaled_for_ga = False
        self.model_accepts_loss_kwargs = False
        self.tokens_in_step = (
            len(blocks[0]["input_ids"])
            * arguments.per_device_train_batch_size
            * arguments.gradient_accumulation_steps
            * arguments.world_size
        )

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The plan's loss."""
        return self.objective(model, inputs["input_ids"])

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The log-probability of held-out tokens, for the curve in the report."""
        from nearfar.evaluation.perplexity import perplexity

        result = perplexity(self.model, self.eval_dataset)  # type: ignore[arg-type]
        metrics = {f"eval_{result.primary}": result.score}
        self.log(metrics)
        return metrics

    def speed(self) -> dict[str, float | None]:
        """Tokens a second in the steps that this process made, and the seconds they took: no result, but a clock's."""
        seconds, steps = self.clock.seconds, self.clock.steps
        return {
            "tokens_per_second": round(self.tokens_in_step * steps / seconds, 1) if seconds else None,
            "seconds": round(seconds, 3),
        }


def stacked(rows: Sequence[dict[str, Tensor]]) -> dict[str, Int[Tensor, "b n"]]:
    """Blocks as one tensor."""
    return {"input_ids": torch.stack([row["input_ids"] for row in rows])}


class Clock(TrainerCallback):
    """Adds up the time between the beginning and the end of steps; checkpoints and evaluations lie outside."""

    def __init__(self) -> None:
        self.seconds, self.steps, self.started = 0.0, 0, 0.0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer."""
        self.started = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer."""
        self.seconds += time.monotonic() - self.started
        self.steps += 1


def language_trainer_for(
    plan: LanguagePlan,
    blocks: Dataset,
    options: LanguageOptions,
    checkpoints: str | Path,
    seed: int,
    *,
    held_out: Dataset | None = None,
    progress: Progress | None = None,
) -> LanguageTrainer:
    """The trainer before its first step, with the model on its device.

    Args:
        plan: What a recipe's `prepare` returned.
        blocks: Column `input_ids`, all of one length.
        options: How long, how large, how fast.
        checkpoints: The folder for checkpoints.
        seed: Decides order and dropout.
        held_out: Blocks to measure on every `eval_steps`.
        progress: Called with step, steps in all, latest loss.
    """
    per_epoch = len(blocks) // (options.batch_size * options.gradient_accumulation * processes())
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        **common_arguments(options, checkpoints, seed, per_epoch=per_epoch, measured=held_out is not None, gpu=gpu),
        lr_scheduler_type="cosine_with_min_lr" if options.schedule == "cosine" else "linear",
        lr_scheduler_kwargs={"min_lr_rate": 0.1} if options.schedule == "cosine" else {},
        adam_beta2=options.beta2,
        max_grad_norm=options.gradient_clip,
        use_cpu=plan.model.device.type == "cpu" and not gpu,
        dataloader_drop_last=True,
    )
    callbacks: list[TrainerCallback] = [MarkComplete()]
    if progress is not None:
        callbacks.append(ProgressCallback(progress))
    trainer = LanguageTrainer(plan, arguments, blocks, held_out, callbacks)
    trainer.remove_callback(PrinterCallback)
    set_seed(seed)
    return trainer

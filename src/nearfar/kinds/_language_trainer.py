"""The transformers trainer for language models, with the stage's own loss, batches with all columns, and a clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from nearfar.errors import InputError
from nearfar.kinds._arguments import common_arguments
from nearfar.kinds._processes import batches_of_epoch, processes
from nearfar.kinds._trainer import Resumable, callbacks_of, load_loss, quiet, save_loss, say_left_out
from nearfar.kinds._workers import before_workers
from nearfar.kinds.drawn import LeftOut, drawn_entry, remainder
from nearfar.kinds.kind import Setting
from nearfar.kinds.options import LanguageOptions
from nearfar.models.adapters import load_trained, save_trained, train_adapters
from nearfar.models.answers import IGNORED

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds.plan import Stage

Collator = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]


class LanguageTrainer(Resumable, Trainer):
    """Trains a language model with a loss that is called with the model and a batch.

    Args:
        model: A transformers model.
        loss: Called with the model and a batch, a mapping with a tensor or a list for each column.
        arguments: The training arguments of transformers.
        rows: The training rows.
        collate: Makes a batch of rows.
        setting: Whether and how to evaluate during training.
        callbacks: Additional callbacks.
    """

    def __init__(
        self,
        model: Any,
        loss: Any,
        arguments: TrainingArguments,
        rows: Dataset,
        collate: Collator,
        setting: Setting,
        callbacks: Sequence[TrainerCallback],
    ) -> None:
        self.drawn: list[dict[str, Any]] = []
        self.objective, self.measure, self.clock, self.tokens = loss, setting.measure, Clock(), 0
        super().__init__(
            model,
            arguments,
            data_collator=collate,  # pyright: ignore[reportArgumentType]
            train_dataset=rows,  # pyright: ignore[reportArgumentType]
            # transformers requires rows for evaluation; `evaluate` below does not use them.
            eval_dataset=rows if setting.measure is not None else None,  # pyright: ignore[reportArgumentType]
            callbacks=[*callbacks, self.clock, ClearGradients(loss)],
        )
        # The means of the batches of one step are averaged.
        self.loss_is_scaled_for_ga = False
        self.model_accepts_loss_kwargs = False

    def _set_signature_columns_if_needed(self) -> None:
        """Keep every column: the loss may use a recipe's own columns."""
        self._signature_columns = list(self.train_dataset.column_names)  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The library's own."""
        before_workers(self.args.dataloader_num_workers)
        return super().get_train_dataloader()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The stage's loss."""
        tokens = inputs.get("labels", inputs.get("input_ids"))
        if isinstance(tokens, Tensor):
            self.tokens += int((tokens != IGNORED).sum())
        return self.objective(model, inputs)

    def create_optimizer(self, *arguments: Any, **keywords: Any) -> Any:
        """AdamW over the model's parameters and the loss's own parameters."""
        optimizer = super().create_optimizer(*arguments, **keywords)
        known = {id(each) for group in optimizer.param_groups for each in group["params"]}
        own = [each for each in self.objective.parameters() if each.requires_grad and id(each) not in known]
        if own:
            optimizer.add_param_group({"params": own, "weight_decay": 0.0})
        return optimizer

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The primary metric on the held-out data, for the curve in the report."""
        metrics = {f"eval_{name}": value for name, value in (self.measure() if self.measure else {}).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        own: Any = self.model
        save_trained(own, Path(output_dir or str(self.args.output_dir)))
        save_loss(self.objective, output_dir or str(self.args.output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        own: Any = self.model
        if not load_trained(own, Path(resume_from_checkpoint)):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        load_loss(self.objective, resume_from_checkpoint)


class ClearGradients(TrainerCallback):
    """Clears a loss's own gradients before a step: transformers clears only those of the model.

    Args:
        loss: The loss.
    """

    def __init__(self, loss: torch.nn.Module) -> None:
        self.loss = loss

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer."""
        self.loss.zero_grad()


class Clock(TrainerCallback):
    """Adds up the time from the start to the end of each step, without checkpoints and evaluations."""

    def __init__(self) -> None:
        self.seconds, self.steps, self.started = 0.0, 0, 0.0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer."""
        self.started = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer."""
        self.seconds += time.monotonic() - self.started
        self.steps += 1


def language_trainer(
    model: Any, stage: Stage, rows: Dataset, collate: Collator, options: LanguageOptions, setting: Setting
) -> LanguageTrainer:
    """The trainer before its first step, with the model on its device.

    Args:
        model: A transformers model; trained in place.
        stage: The stage with the loss.
        rows: The stage's rows, tokenised if the kind of model does that.
        collate: Makes a batch of rows.
        options: The training options.
        setting: Where and how to train.
    """
    if stage.views is not None:
        raise ValueError("rows of language models have no views")
    in_epoch = math.ceil(batches_of_epoch(len(rows), options.batch_size) / options.gradient_accumulation)
    steps = options.max_steps or max(1, math.ceil(round(options.epochs * in_epoch, 6)))
    train_adapters(model)
    gpu = torch.cuda.is_available()
    own = {
        **common_arguments(options, setting, steps=steps, gpu=gpu),
        "lr_scheduler_type": "cosine_with_min_lr" if options.schedule == "cosine" else "linear",
        "lr_scheduler_kwargs": {"min_lr_rate": 0.1} if options.schedule == "cosine" else {},
        "adam_beta2": options.beta2,
        "max_grad_norm": options.gradient_clip,
        "use_cpu": model.device.type == "cpu" and not gpu,
        "dataloader_drop_last": True,
    }
    arguments = TrainingArguments(**{**own, **setting.arguments})
    trainer = LanguageTrainer(model, stage.loss, arguments, rows, collate, setting, callbacks_of(setting))
    trainer.drawn = [_drawn(len(rows), steps, options, "rows" if len(rows) == len(stage.rows) else "blocks")]
    trainer.follow_metric(options, setting)
    say_left_out(trainer.drawn)
    quiet(trainer)
    set_seed(setting.seed)
    return trainer


def _drawn(rows: int, steps: int, options: LanguageOptions, unit: str) -> dict[str, Any]:
    """What `metrics.json` says of the rows: as many are drawn as fill batches of all processes."""
    size, count = options.batch_size, processes()
    in_epoch = batches_of_epoch(rows, size)
    epochs, more = divmod(steps, math.ceil(in_epoch / options.gradient_accumulation))
    in_all = (epochs * in_epoch + min(more * options.gradient_accumulation, in_epoch)) * size * count
    left = LeftOut(rows - in_epoch * size * count, remainder(size * count))
    return drawn_entry(rows, [size] * (in_epoch * count), size, in_all, [left], unit=unit)


def check_rows(rows: Dataset, options: LanguageOptions, what: str) -> None:
    """Raise an InputError if there are too few rows for one step; `what` names them in the message."""
    needed = options.batch_size * options.gradient_accumulation * processes()
    if len(rows) < needed:
        raise InputError(
            f"expected at least {needed} {what} (one step), got {len(rows)}",
            field="batch_size",
            remedy=f"use more text, or a smaller batch_size{'' if what == 'rows' else ' or max_length'}",
        )


def speed(trainers: Sequence[LanguageTrainer], per_step: int | None = None) -> dict[str, float | None]:
    """Tokens per second in the steps of this process, and their time in seconds; not reproducible."""
    seconds, steps = (sum(getattr(each.clock, name) for each in trainers) for name in ("seconds", "steps"))
    tokens = per_step * steps if per_step is not None else sum(each.tokens for each in trainers)
    return {"tokens_per_second": round(tokens / seconds, 1) if seconds else None, "seconds": round(seconds, 3)}


def as_batch(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All columns of the rows: tensors of one shape are stacked, numbers become a tensor, anything else a list."""
    batch: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if all(isinstance(value, Tensor) for value in values) and len({value.shape for value in values}) == 1:
            batch[name] = torch.stack(values)
        elif all(isinstance(value, (bool, int, float)) for value in values):
            batch[name] = torch.tensor(values)
        else:
            batch[name] = values
    return batch

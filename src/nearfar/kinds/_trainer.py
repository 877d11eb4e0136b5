"""sentence-transformers' trainer, with what a run needs that may be killed: whole checkpoints, the loss's own state."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.evaluation import BaseEvaluator
from torch.utils.data import BatchSampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from nearfar.data.stored import as_stored
from nearfar.kinds._sampling import Part, SingleSourceBatchSampler, batches_of
from nearfar.training.folder import COMPLETE

Progress = Callable[[int, int, float | None], None]

_LOSS_STATE = "loss.safetensors"


class Resumable:
    """Lets a trainer of transformers go on from a checkpoint, also from one at the last step."""

    def train_or_resume(self: Any, checkpoint: Path | None) -> None:
        """Train, from a checkpoint if there is one. From one at the last step nothing is left but to load it."""
        if checkpoint is not None:
            state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
            if state.global_step >= state.max_steps:
                self.state = state
                self._load_from_checkpoint(str(checkpoint))
                return
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


class Trainer(Resumable, SentenceTransformerTrainer):
    """Adds the loss's own parameters (a learned temperature) to the checkpoints, and samplers of our own."""

    #: The data sets that are trained on.
    parts: Sequence[Part] = ()

    def get_batch_sampler(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> BatchSampler | None:
        """Of several data sets each has a batch size and a generator of its own; some orders are only ours."""
        for part in self.parts:
            if part.rows is dataset and (part.name is not None or part.batches == "shuffled"):
                return batches_of(part, drop_last, seed)
        stored = as_stored(dataset)
        return super().get_batch_sampler(stored, batch_size, drop_last, valid_label_columns, generator, seed)

    def get_multi_dataset_batch_sampler(
        self,
        dataset: Any,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int | None = 0,
    ) -> BatchSampler:
        """One data set a step."""
        return SingleSourceBatchSampler(
            dataset,
            batch_samplers,
            generator,
            seed or 0,
            processes=self.args.world_size,
            accumulation=self.args.gradient_accumulation_steps,
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        state = self._loss_state()
        if state:
            save_file(state, os.path.join(output_dir or str(self.args.output_dir), _LOSS_STATE))

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        super()._load_from_checkpoint(checkpoint_path)
        path = Path(checkpoint_path) / _LOSS_STATE
        if path.exists():
            state = load_file(path)
            for prefix, loss in self._losses():
                mine = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
                loss.load_state_dict(mine, strict=False)

    def _loss_state(self) -> dict[str, torch.Tensor]:
        return {
            prefix + key: value.detach().cpu().contiguous()
            for prefix, loss in self._losses()
            for key, value in loss.state_dict().items()
            if not key.startswith("model.")
        }

    def _losses(self) -> list[tuple[str, torch.nn.Module]]:
        """Each loss, and what its parameters' names begin with in a checkpoint."""
        loss: Any = self.loss
        return [(f"{name}/", each) for name, each in loss.items()] if isinstance(loss, dict) else [("", loss)]


class HeldOutEvaluator(BaseEvaluator):
    """Measures on held-out rows in the middle of training, for the curve in the report."""

    def __init__(self, held_out: Any, seed: int) -> None:
        super().__init__()
        self.held_out, self.seed = held_out, seed

    def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
        """The primary metric, by name."""
        from nearfar.evaluation import evaluate

        result = evaluate(model, self.held_out, seed=self.seed)
        return {result.primary: result.score}


class MarkComplete(TrainerCallback):
    """Writes the last file of a checkpoint: one without it was interrupted and does not count."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer when all else is written."""
        if state.is_world_process_zero:
            Path(str(args.output_dir), f"checkpoint-{state.global_step}", COMPLETE).touch()


class ProgressCallback(TrainerCallback):
    """Tells a function how far training is: step, steps in all, latest loss."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.loss, self.last = progress, None, 0.0

    def on_log(
        self, args: Any, state: TrainerState, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Called by the trainer with new figures."""
        self.loss = (logs or {}).get("loss", self.loss)

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **_: Any) -> None:
        """Called by the trainer after each optimiser step."""
        now = time.monotonic()
        if state.is_world_process_zero and (now - self.last > 0.2 or state.global_step == state.max_steps):
            self.last = now
            self.progress(state.global_step, state.max_steps, self.loss)

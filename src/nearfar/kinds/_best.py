"""Follows a metric during training: remembers the best checkpoint, and stops when nothing improves any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from nearfar.kinds._trainer_files import BEST
from nearfar.writing import write_text

__all__ = ["Follow"]


class Follow(TrainerCallback):
    """Saves a checkpoint whenever the metric is better than ever, and stops after evaluations without improvement.

    What it knows is saved in each checkpoint, so that a resumed run ends as an uninterrupted one.

    Args:
        metric: Name of the metric; higher is better.
        patience: Number of evaluations without improvement after which training stops; 0: never.
    """

    def __init__(self, metric: str, patience: int) -> None:
        self.metric, self.patience = metric, patience
        self.step, self.value, self.waited, self.stopped = 0, float("-inf"), 0, False

    def load(self, checkpoint: Path) -> None:
        """Continue from what a checkpoint says."""
        known = json.loads((checkpoint / BEST).read_text("utf-8"))
        self.step, self.waited, self.stopped = known["step"], known["waited"], known["stopped"]
        self.value = float("-inf") if known["value"] is None else known["value"]

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer, after it has loaded the state of a checkpoint."""
        self._protect(args, state)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: Any = None, **_: Any
    ) -> None:
        """Called by the trainer; a checkpoint that this asks for is saved next."""
        found = metrics[f"eval_{self.metric}"]
        if found > self.value:
            self.step, self.value, self.waited = state.global_step, found, 0
            self._protect(args, state)
            control.should_save = True
            return
        self.waited += 1
        if self.patience and self.waited >= self.patience:
            self.stopped = control.should_save = control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called by the trainer after everything else has been written."""
        if state.is_world_process_zero:
            known = {"step": self.step, "value": self.value if self.step else None}
            known |= {"waited": self.waited, "stopped": self.stopped}
            write_text(json.dumps(known) + "\n", Path(str(args.output_dir), f"checkpoint-{state.global_step}", BEST))

    def _protect(self, args: TrainingArguments, state: TrainerState) -> None:
        """Keep the trainer from removing the best checkpoint."""
        if self.step:
            state.best_model_checkpoint = str(Path(str(args.output_dir), f"checkpoint-{self.step}"))

"""Training arguments that all Hugging Face trainers share."""

from __future__ import annotations

from typing import Any

from nearfar.kinds.kind import Setting
from nearfar.kinds.options import TrainingOptions

#: Number of losses logged during a run, for the curve.
LOGGED = 50
#: Number of checkpoints of a run if `save_steps` is 0.
SAVED = 10


def common_arguments(options: TrainingOptions, setting: Setting, *, steps: int, gpu: bool) -> dict[str, Any]:
    """Arguments shared by the transformers and sentence-transformers trainers.

    Args:
        options: The training options.
        setting: Folder of the checkpoints, seed, and whether to evaluate during training.
        steps: Optimiser steps of the run.
        gpu: Whether batches go to a GPU.
    """
    every = evaluation_steps(options, setting, steps)
    return {
        "output_dir": str(setting.checkpoints),
        "max_steps": steps,
        "per_device_train_batch_size": options.batch_size,
        "gradient_accumulation_steps": options.gradient_accumulation,
        "learning_rate": options.learning_rate,
        # A number below 1 is a fraction of all steps.
        "warmup_steps": options.warmup_ratio if options.warmup_ratio < 1 else steps,
        "weight_decay": options.weight_decay,
        "bf16": options.precision == "bfloat16",
        "fp16": options.precision == "float16",
        "seed": setting.seed,
        "logging_steps": max(1, steps // LOGGED),
        "eval_strategy": "steps" if every else "no",
        "eval_steps": every or None,
        "save_strategy": "steps",
        "save_steps": options.save_steps or max(1, steps // SAVED),
        # The newest may be incomplete after a crash, so the previous one is kept; and the best, if one is followed.
        "save_total_limit": 3 if setting.metric else 2,
        "dataloader_pin_memory": gpu,
        "dataloader_num_workers": options.workers,
        "report_to": [],
        "disable_tqdm": True,
    }


def evaluation_steps(options: TrainingOptions, setting: Setting, steps: int) -> int:
    """Steps between evaluations during training; 0: none."""
    if setting.measure is None:
        return 0
    return options.eval_steps or (max(1, steps // SAVED) if setting.metric else 0)

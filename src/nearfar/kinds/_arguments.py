"""What Hugging Face's trainers are told alike, whatever they train."""

from __future__ import annotations

from typing import Any

from nearfar.kinds.kind import Setting
from nearfar.kinds.options import TrainingOptions

#: Losses logged over a run, for the curve.
LOGGED = 50
#: Checkpoints over a run, where `save_steps` does not say.
SAVED = 10


def common_arguments(options: TrainingOptions, setting: Setting, *, steps: int, gpu: bool) -> dict[str, Any]:
    """Arguments that transformers' and sentence-transformers' trainers share.

    Args:
        options: How long, how large, how fast.
        setting: Where checkpoints go, the seed, and whether there is something to measure on in between.
        steps: Optimiser steps of the run.
        gpu: Batches go to a GPU.
    """
    return {
        "output_dir": str(setting.checkpoints),
        "max_steps": steps,
        "per_device_train_batch_size": options.batch_size,
        "gradient_accumulation_steps": options.gradient_accumulation,
        "learning_rate": options.learning_rate,
        # A number below 1 is a part of all steps.
        "warmup_steps": options.warmup_ratio if options.warmup_ratio < 1 else steps,
        "weight_decay": options.weight_decay,
        "bf16": options.precision == "bfloat16",
        "fp16": options.precision == "float16",
        "seed": setting.seed,
        "logging_steps": max(1, steps // LOGGED),
        "eval_strategy": "steps" if setting.measure is not None and options.eval_steps else "no",
        "eval_steps": options.eval_steps or None,
        "save_strategy": "steps",
        "save_steps": options.save_steps or max(1, steps // SAVED),
        # The newest may be half-written when the machine dies, so the one before it stays.
        "save_total_limit": 2,
        "dataloader_pin_memory": gpu,
        "report_to": [],
        "disable_tqdm": True,
    }

"""Arguments of the Hugging Face trainer beyond nearfar's own options: read from a file, and checked before a run."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Stage

__all__ = ["check_fsdp", "check_gradient_cache", "check_trainer_args", "read_trainer_args"]

FIELD = "--trainer-args"
#: Arguments of the command line that set an argument of the trainer.
_BY_ARGUMENT = {"output_dir": "--out", "seed": "--seed", "data_seed": "--seed", "resume_from_checkpoint": "--resume"}
#: Options that set an argument of the trainer; a recipe without the option leaves it to the file.
_BY_OPTION = {
    "max_steps": "max_steps",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "gradient_accumulation",
    "learning_rate": "learning_rate",
    "warmup_steps": "warmup_ratio",
    "warmup_ratio": "warmup_ratio",
    "weight_decay": "weight_decay",
    "bf16": "precision",
    "fp16": "precision",
    "eval_steps": "eval_steps",
    "save_steps": "save_steps",
    "gradient_checkpointing": "gradient_checkpointing",
    "activation_checkpointing": "gradient_checkpointing",
    "load_best_model_at_end": "checkpoint",
    "metric_for_best_model": "checkpoint",
    "greater_is_better": "checkpoint",
    "max_grad_norm": "gradient_clip",
    "adam_beta2": "beta2",
    "lr_scheduler_type": "schedule",
    "dataloader_num_workers": "workers",
}
#: What nearfar does itself, so that a run can be resumed, measured and saved.
_OWN = {
    "do_train",
    "do_eval",
    "do_predict",
    "eval_strategy",
    "eval_on_start",
    "eval_delay",
    "logging_strategy",
    "save_strategy",
    "save_total_limit",
    "save_only_model",
    "overwrite_output_dir",
    "use_cpu",
    "remove_unused_columns",
    "dataloader_drop_last",
    "push_to_hub",
    "ignore_data_skip",
    "restore_callback_states_from_checkpoint",
}
#: Values of `report_to`, and the modules of which one is required; the first is the name of the package, too.
_REPORTING = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    **{name: (name,) for name in ("wandb", "trackio", "mlflow", "clearml", "codecarbon", "dvclive", "swanlab")},
}


def read_trainer_args(given: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    """Arguments from a YAML or JSON file, or a dictionary as it is.

    Raises:
        InputError: The file cannot be read, or is not a mapping.
    """
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    file = Path(given)
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot be read", file=file, field=FIELD, remedy="check the path") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise InputError("is not valid YAML or JSON", file=file, line=line, field=FIELD, remedy="fix it") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        problem = f"expected names with values, got {type(found).__name__}"
        raise InputError(problem, file=file, field=FIELD, remedy="write e.g. report_to: tensorboard")
    return found


def check_trainer_args(
    arguments: Mapping[str, Any], options: TrainingOptions, source: str | Path | Mapping[str, Any] | None = None
) -> None:
    """Check arguments before anything is read.

    Args:
        arguments: By their names in `transformers.TrainingArguments`.
        options: The options of the run.
        source: The file, for messages.

    Raises:
        InputError: An argument does not exist, is set by nearfar, has an invalid value, or requires a package that is
            not installed.
    """
    from transformers import TrainingArguments

    file = None if isinstance(source, Mapping) else source
    _check_deepspeed(arguments, file)
    if not arguments:
        return
    known = {each.name: each for each in fields(TrainingArguments) if each.init}
    for name, value in arguments.items():
        if name in _BY_ARGUMENT:
            raise _set_by(name, file, _BY_ARGUMENT[name])
        if hasattr(options, _BY_OPTION.get(name, name)):
            raise _set_by(name, file, f"--set {_BY_OPTION.get(name, name)}=...")
        if name in _OWN:
            raise InputError("nearfar sets this argument itself", file=file, field=name, remedy="remove it")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            remedy = f"did you mean {near[0]}?" if near else "see transformers.TrainingArguments"
            problem = "unknown argument of the Hugging Face trainer"
            raise InputError(problem, file=file, field=name, remedy=remedy)
        _check_type(name, value, known[name].default, file)
    _check_reporting(arguments.get("report_to"), file)
    _check_values(arguments, file)


def check_gradient_cache(stage: Stage, arguments: Mapping[str, Any]) -> None:
    """Check that a loss with a gradient cache is not trained with sharded weights.

    The cache embeds a batch in many forward passes, and sentence-transformers defers the exchange of gradients to the
    last of them only in plain data parallelism.

    Args:
        stage: The stage with the loss.
        arguments: By their names in `transformers.TrainingArguments`.

    Raises:
        InputError: The arguments, or those of `accelerate launch`, ask for DeepSpeed or FSDP.
    """
    from sentence_transformers.base.losses.gradcache import uses_gradient_cache

    losses = stage.loss.values() if isinstance(stage.loss, Mapping) else [stage.loss]
    if not any(uses_gradient_cache(loss) for loss in losses):
        return
    for library in ("deepspeed", "fsdp"):
        if (field := _asked_by(library, arguments)) is not None:
            raise InputError(
                f"the gradient cache (cached) cannot be combined with {library}",
                field=field,
                remedy=f"remove cached, or train without {library}",
            )


def check_fsdp(arguments: Mapping[str, Any]) -> None:
    """Check that FSDP, if it is asked for, shards anything: on CPUs accelerate ignores it without a message.

    Args:
        arguments: By their names in `transformers.TrainingArguments`.

    Raises:
        InputError: FSDP is asked for where there is no GPU.
    """
    import torch

    if (field := _asked_by("fsdp", arguments)) is not None and not torch.accelerator.is_available():
        raise InputError("fsdp has no effect without GPUs", field=field, remedy="remove it, or train on GPUs")


def _asked_by(library: str, arguments: Mapping[str, Any]) -> str | None:
    """What asks for DeepSpeed or FSDP."""
    if os.environ.get(f"ACCELERATE_USE_{library.upper()}", "").lower() in ("1", "true"):
        return "accelerate launch"
    return FIELD if arguments.get(library) else None


def _set_by(name: str, file: Any, instead: str) -> InputError:
    return InputError("nearfar has an option for this argument", file=file, field=name, remedy=f"use {instead}")


def _check_type(name: str, value: Any, default: Any, file: Any) -> None:
    """transformers does not check the types of numbers, and fails much later."""
    if isinstance(default, bool):
        expected, fits = "true or false", isinstance(value, bool)
    elif isinstance(default, (int, float)):
        expected, fits = "a number", isinstance(value, (int, float)) and not isinstance(value, bool)
    else:
        return
    if not fits:
        raise InputError(f"expected {expected}, got {value!r}", file=file, field=name, remedy="fix the value")


def _check_deepspeed(arguments: Mapping[str, Any], file: Any) -> None:
    """`_check_values` leaves DeepSpeed out, and the trainer would miss it only after the run has begun."""
    asked = _asked_by("deepspeed", arguments)
    if asked is None:
        return
    if importlib.util.find_spec("deepspeed") is None:
        field = "deepspeed" if asked == FIELD else asked
        raise InputError("requires the package deepspeed", file=file, field=field, remedy="pip install deepspeed")
    config = arguments.get("deepspeed")
    if isinstance(config, str) and config.endswith(".json") and not Path(config).is_file():
        raise InputError(f"the file {config!r} does not exist", file=file, field="deepspeed", remedy="check the path")


def _check_reporting(names: Any, file: Any) -> None:
    """Check that the packages of the named trackers are installed."""
    for name in [names] if isinstance(names, str) else names or []:
        modules = _REPORTING.get(name, ())
        if modules and not any(importlib.util.find_spec(module) for module in modules):
            problem = f"{name} requires the package {modules[0]}"
            raise InputError(problem, file=file, field="report_to", remedy=f"pip install {modules[0]}")


def _check_values(arguments: Mapping[str, Any], file: Any) -> None:
    """Let transformers check what it checks, unless that starts a distributed run."""
    import torch
    from transformers import TrainingArguments
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    from nearfar.kinds._processes import processes

    if processes() > 1 or any(name.startswith(("deepspeed", "fsdp")) for name in arguments):
        return
    try:
        made = TrainingArguments("trainer-args", use_cpu=not torch.cuda.is_available(), **arguments)
        reporting: Any = made.report_to if "report_to" in arguments else []
        for callback in get_reporting_integration_callbacks(reporting):
            callback()
    except (ValueError, TypeError, ImportError, RuntimeError, KeyError, AttributeError) as error:
        problem = f"the Hugging Face trainer refuses these arguments: {str(error).splitlines()[0]}"
        raise InputError(problem, file=file, field=FIELD, remedy="fix the values") from error

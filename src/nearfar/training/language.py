"""Training a causal language model in a run folder: documents in, packed blocks through transformers' trainer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError, about
from nearfar.training.folder import RunFolder, is_main_process, processes
from nearfar.training.loop import LOGGED, SAVED
from nearfar.training.options import LanguageOptions, TrainingOptions
from nearfar.training.rows import source_of
from nearfar.writing import check_writable, full_disk_noticed

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.training.language_trainer import LanguageTrainer
    from nearfar.training.recipe import LanguagePlan, Recipe
    from nearfar.training.run import Run
    from nearfar.training.trainer import Progress


#: Documents beyond which a measurement becomes no better, only slower.
MOST_HELD_OUT = 1000


def train_language(
    recipe: Recipe,
    data: Any,
    options: TrainingOptions,
    *,
    model: Any = None,
    evaluation: Any = None,
    out: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    columns: Any = None,
    evaluation_columns: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Train a language model by a recipe; arguments as of `nearfar.train`, which calls this.

    Raises:
        InputError: what was passed in does not fit; nothing is written then.
    """
    from transformers import set_seed

    from nearfar.data.documents import load_documents
    from nearfar.data.overlap import seen_in_training

    assert isinstance(options, LanguageOptions)
    _check_settings(options, evaluation)
    folder = RunFolder(Path("runs", recipe.name) if out is None else Path(out))
    folder.check_free(resume)
    check_writable(folder.path)
    mapping = _one_mapping(columns)
    rows = load_documents(data, columns=mapping)
    configuration = _configuration(recipe, data, mapping, model, evaluation, evaluation_columns, options, seed, rows)
    folder.check(configuration, resume)
    if evaluation is None:
        documents, held_out = _split(rows, options.held_out, seed)
    else:
        documents, held_out = rows, load_documents(evaluation, columns=evaluation_columns or None)

    set_seed(seed)
    with about(configuration["data"]["source"], rows.column_names):
        plan: Any = recipe.prepare(model, documents, options)
        blocks = _blocks(plan, documents, options)
        measured = None if held_out is None else _blocks(plan, held_out, options)
    _check_blocks(plan, blocks, options)
    with full_disk_noticed(folder.path):
        run = _run(recipe, plan, blocks, measured, folder, options, configuration, progress)
        if held_out is not None:
            run.metrics["held_out_seen_in_training"] = seen_in_training(documents, held_out)
        if is_main_process():
            from nearfar.reports.language import language_page

            language_page(run, configuration).write(folder.report)
            folder.write_json(folder.metrics, run.metrics)
    return run


def _run(
    recipe: Recipe,
    plan: LanguagePlan,
    blocks: Dataset,
    held_out: Dataset | None,
    folder: RunFolder,
    options: LanguageOptions,
    configuration: dict[str, Any],
    progress: Progress | None,
) -> Run:
    from nearfar.evaluation.compared import paired_interval
    from nearfar.evaluation.perplexity import perplexity
    from nearfar.models.loading import check_weights
    from nearfar.training.run import Run, metrics_of

    seed = configuration["seed"]
    model: Any = plan.model
    trainer = language_trainer_for(
        plan, blocks, options, folder.checkpoints, seed, held_out=held_out, progress=progress
    )
    before = None if held_out is None else perplexity(model, held_out)
    folder.start(configuration)
    trainer.train_or_resume(folder.last_checkpoint())
    check_weights(model, folder.path)
    if is_main_process():
        folder.replace_model(partial(_save, plan))
    after = None if held_out is None else perplexity(model, held_out)
    change = None if before is None or after is None else paired_interval(before, after, seed=seed)
    log = trainer.state.log_history
    metrics = metrics_of(recipe.name, trainer.state.global_step, log, before, after, change)
    tokens = trainer.tokens_in_step * trainer.state.global_step
    metrics |= {"tokens_seen": tokens, **sizes(model), "speed": _speed(trainer, folder)}
    if plan.finish is not None:
        metrics |= plan.finish(folder.path, blocks, held_out)
    return Run(folder.path, model, before, after, change, log, None, metrics)


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
    from transformers import PrinterCallback, TrainerCallback, TrainingArguments, set_seed

    from nearfar.training.language_trainer import LanguageTrainer
    from nearfar.training.trainer import MarkComplete, ProgressCallback

    per_epoch = len(blocks) // (options.batch_size * options.gradient_accumulation * processes())
    steps = options.max_steps or max(1, int(options.epochs * per_epoch))
    measured = options.eval_steps > 0 and held_out is not None
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=options.epochs,
        max_steps=options.max_steps or -1,
        per_device_train_batch_size=options.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation,
        learning_rate=options.learning_rate,
        warmup_steps=options.warmup_ratio if options.warmup_ratio < 1 else steps,
        lr_scheduler_type="cosine_with_min_lr" if options.schedule == "cosine" else "linear",
        lr_scheduler_kwargs={"min_lr_rate": 0.1} if options.schedule == "cosine" else {},
        adam_beta2=options.beta2,
        max_grad_norm=options.gradient_clip,
        weight_decay=options.weight_decay,
        bf16=options.precision == "bfloat16",
        fp16=options.precision == "float16",
        use_cpu=plan.model.device.type == "cpu" and not _has_gpu(),
        dataloader_drop_last=True,
        seed=seed,
        logging_steps=max(1, steps // LOGGED),
        eval_strategy="steps" if measured else "no",
        eval_steps=options.eval_steps or None,
        save_strategy="steps",
        save_steps=options.save_steps or max(1, steps // SAVED),
        # The newest may be half-written when the machine dies, so the one before it stays.
        save_total_limit=2,
        dataloader_pin_memory=_has_gpu(),
        report_to=[],
        disable_tqdm=True,
    )
    callbacks: list[TrainerCallback] = [MarkComplete()]
    if progress is not None:
        callbacks.append(ProgressCallback(progress))
    trainer = LanguageTrainer(plan, arguments, blocks, held_out, callbacks)
    trainer.remove_callback(PrinterCallback)
    set_seed(seed)
    return trainer


def sizes(model: Any) -> dict[str, Any]:
    """Parameters, and the bytes that training them by AdamW keeps: two moments of each parameter's type."""
    embedded = {id(module.weight) for module in (model.get_input_embeddings(), model.get_output_embeddings()) if module}
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    held = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    learned = sum(weight.numel() * weight.element_size() for weight in trained)
    every = sum(weight.numel() for weight in model.parameters())
    apart = sum(weight.numel() for weight in model.parameters() if id(weight) not in embedded)
    return {
        "parameters": {"all": every, "without_embeddings": apart, "trained": sum(w.numel() for w in trained)},
        "memory_bytes": {"weights": held, "gradients": learned, "optimizer": 2 * learned},
    }


def _one_mapping(columns: Any) -> Mapping[str, str] | None:
    if columns is None or isinstance(columns, Mapping):
        return columns or None
    if len(columns) > 1:
        problem = f"{len(columns)} mappings, and all documents are read by one"
        raise InputError(problem, field="--columns", remedy="give one, such as text=body")
    return columns[0] if columns else None


def _speed(trainer: LanguageTrainer, folder: RunFolder) -> dict[str, float | None]:
    """Of the steps made just now; where none was left to make, of those made when they were."""
    if not trainer.clock.steps and folder.metrics.exists():
        return json.loads(folder.metrics.read_text("utf-8"))["speed"]
    return trainer.speed()


def _blocks(plan: LanguagePlan, documents: Dataset, options: LanguageOptions) -> Dataset:
    from nearfar.data.packing import packed

    return packed(documents, plan.tokenizer, options.max_length)


def _split(rows: Dataset, part: float, seed: int) -> tuple[Dataset, Dataset | None]:
    """Documents to train on and to hold out, each in the order of the data."""
    import numpy as np

    if not part:
        return rows, None
    if len(rows) < 2:
        raise InputError(
            "one document alone: none can be held out",
            field="held_out",
            remedy="part documents by blank lines, give --eval, or set held_out=0",
        )
    order = np.random.default_rng(seed).permutation(len(rows))
    count = min(max(1, int(part * len(rows))), MOST_HELD_OUT)
    return rows.select(np.sort(order[count:])), rows.select(np.sort(order[:count]))


def _check_settings(options: LanguageOptions, evaluation: Any) -> None:
    if options.eval_steps and evaluation is None and not options.held_out:
        remedy = "give --eval, or set held_out"
        raise InputError("there is nothing to evaluate on", field="eval_steps", remedy=remedy)
    if options.precision == "float16" and not _has_gpu():
        raise InputError("float16 needs a GPU", field="precision", remedy="use float32 or bfloat16")


def _check_blocks(plan: LanguagePlan, blocks: Dataset, options: LanguageOptions) -> None:
    limit = getattr(plan.model.config, "max_position_embeddings", None)
    if isinstance(limit, int) and options.max_length > limit:
        problem = f"{options.max_length} tokens cannot be read: the model has {limit} positions"
        raise InputError(problem, field="max_length", remedy=f"use at most {limit}")
    needed = options.batch_size * options.gradient_accumulation * processes()
    if len(blocks) < needed:
        raise InputError(
            f"the documents fill {len(blocks)} blocks of {options.max_length} tokens, and a step takes {needed}",
            field="batch_size",
            remedy="give more text, or set a smaller batch_size or max_length",
        )


def _configuration(
    recipe: Recipe,
    data: Any,
    columns: Mapping[str, str] | None,
    model: Any,
    evaluation: Any,
    evaluation_columns: Mapping[str, str] | None,
    options: TrainingOptions,
    seed: int,
    rows: Dataset,
) -> dict[str, Any]:
    from dataclasses import asdict

    from nearfar.data.fingerprint import fingerprint
    from nearfar.models.language import weights_hash
    from nearfar.training.run import made_by

    sources = [data] if isinstance(data, (str, Path)) or not isinstance(data, Sequence) else data
    named = isinstance(model, (str, Path))
    return {
        "recipe": recipe.name,
        "data": {
            "source": ", ".join(str(source_of(source)) for source in sources),
            "rows": len(rows),
            "sha256": fingerprint(rows),
        },
        "columns": None if columns is None else dict(columns),
        "model": {"name": source_of(model), "weights": weights_hash(model) if named else None},
        "evaluation": source_of(evaluation),
        "evaluation_columns": None if evaluation_columns is None else dict(evaluation_columns),
        "options": asdict(options),
        "seed": seed,
        **made_by(),
    }


def _save(plan: LanguagePlan, folder: str) -> None:
    if plan.save is None:
        plan.model.save_pretrained(folder)
    else:
        plan.save(Path(folder))
    plan.tokenizer.save_pretrained(folder)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()

"""Training a causal language model in a run folder: documents in, packed blocks through transformers' trainer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import about
from nearfar.kinds.options import LanguageOptions, TrainingOptions
from nearfar.training.folder import RunFolder, is_main_process
from nearfar.training.language_setup import check_blocks, check_settings, configuration_of, one_mapping, split_documents
from nearfar.training.language_trainer import language_trainer_for
from nearfar.writing import check_writable, full_disk_noticed

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.kinds._trainer import Progress
    from nearfar.recipes._recipe import LanguagePlan, Recipe
    from nearfar.training.language_trainer import LanguageTrainer
    from nearfar.training.run import Run


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
    check_settings(options, evaluation)
    folder = RunFolder(Path("runs", recipe.name) if out is None else Path(out))
    folder.check_free(resume)
    check_writable(folder.path)
    mapping = one_mapping(columns)
    rows = load_documents(data, columns=mapping)
    configuration = configuration_of(recipe, data, mapping, model, evaluation, evaluation_columns, options, seed, rows)
    folder.check(configuration, resume)
    if evaluation is None:
        documents, held_out = split_documents(rows, options.held_out, seed)
    else:
        documents, held_out = rows, load_documents(evaluation, columns=evaluation_columns or None)

    set_seed(seed)
    with about(configuration["data"]["source"], rows.column_names):
        plan: Any = recipe.prepare(model, documents, options)
        blocks = _blocks(plan, documents, options)
        measured = None if held_out is None else _blocks(plan, held_out, options)
    check_blocks(plan, blocks, options)
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
    from nearfar.models.size import sizes
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


def _speed(trainer: LanguageTrainer, folder: RunFolder) -> dict[str, float | None]:
    """Of the steps made just now; where none was left to make, of those made when they were."""
    if not trainer.clock.steps and folder.metrics.exists():
        return json.loads(folder.metrics.read_text("utf-8"))["speed"]
    return trainer.speed()


def _blocks(plan: LanguagePlan, documents: Dataset, options: LanguageOptions) -> Dataset:
    from nearfar.data.packing import packed

    return packed(documents, plan.tokenizer, options.max_length)


def _save(plan: LanguagePlan, folder: str) -> None:
    if plan.save is None:
        plan.model.save_pretrained(folder)
    else:
        plan.save(Path(folder))
    plan.tokenizer.save_pretrained(folder)

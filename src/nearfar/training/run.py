"""One run: a recipe, rows and a model in; a run folder out."""

from __future__ import annotations

import math
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError, about
from nearfar.kinds.options import TrainingOptions, with_settings
from nearfar.training.folder import RunFolder, is_main_process
from nearfar.training.loop import check_batches, train_stages
from nearfar.training.rows import described, rows_for, source_of, together
from nearfar.writing import check_writable, full_disk_noticed

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict
    from sentence_transformers import SentenceTransformer

    from nearfar.data import Retrieval
    from nearfar.evaluation import Interval, Result
    from nearfar.evaluation.similarity import PairSimilarity
    from nearfar.kinds._trainer import Progress
    from nearfar.recipes._recipe import Plan, Recipe
    from nearfar.training.rows import Columns, Sources


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: Where everything is; `folder / "model"` loads with SentenceTransformer, or is a language model.
        model: The trained model: a SentenceTransformer, or a causal language model of transformers.
        before: What `evaluation` said of the model as it came, None without evaluation data.
        after: The same of the trained model.
        change: After minus before in the primary metric, with its interval.
        log: What the trainer logged: dictionaries with `step` and `loss`, or `step` and `eval_...`.
        similarities: Cosines of held-out pairs before and after, where the evaluation data is pairs.
        metrics: What stands in `metrics.json`.
    """

    folder: Path
    model: Any
    before: Result | None
    after: Result | None
    change: Interval | None
    log: list[dict[str, float]]
    similarities: tuple[PairSimilarity, PairSimilarity] | None
    metrics: dict[str, Any]


def train(
    recipe: str | Recipe,
    data: Sources,
    *,
    model: str | Path | SentenceTransformer | None = None,
    evaluation: str | Path | Dataset | Retrieval | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    columns: Columns | Sequence[Columns | None] | None = None,
    evaluation_columns: Mapping[str, str] | None = None,
    skip_broken: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Train a model by a recipe.

    Args:
        recipe: A name that `nearfar.recipes.names()` lists, or a recipe of your own.
        data: Rows: a file, a folder of files, a hub id, or a data set in memory. A list of them, or a dictionary by
            name, for a recipe that takes several.
        model: A folder, a hub id, an alias, or a model in memory (which is trained in place); the recipe's own choice
            when None.
        evaluation: Rows or a retrieval folder to measure on before and after. For a language model documents; when
            None, some of `data` are held out.
        out: The run folder, see `nearfar.training.folder`; `runs/<recipe>` when None.
        seed: Decides order, dropout and new parameters: the same seed gives the same figures.
        resume: Go on with the run in `out` after its last checkpoint. The result is that of a run never interrupted.
        columns: Canonical column name -> name in the file. Of several data sets a list, with one for each.
        evaluation_columns: The same for the evaluation rows. When None, `columns` holds for them too if they have
            its columns, and else they are taken by their own names.
        skip_broken: Leave out rows whose picture or recording is missing or damaged, and turns of dialogues without a
            text, with a note that names them.
        progress: Called with step, steps in all, latest loss.
        **options: The recipe's hyper-parameters, such as `epochs=3`.

    Raises:
        InputError: what was passed in does not fit; nothing is written then.
    """
    # The one look upwards: recipes are made of this package, and a name stands for one of them.
    from nearfar.models import load
    from nearfar.models.loading import check_max_length
    from nearfar.recipes import get as named

    chosen = named(recipe) if isinstance(recipe, str) else recipe
    settings = with_settings(chosen.options(), options)
    model = chosen.model if model is None else model
    if chosen.trains == "language model":
        from nearfar.training.language import train_language

        return train_language(
            chosen,
            data,
            settings,
            model=model,
            evaluation=evaluation,
            out=out,
            seed=seed,
            resume=resume,
            columns=columns,
            evaluation_columns=evaluation_columns,
            progress=progress,
        )
    assert model is not None
    _check_settings(settings, evaluation)
    folder = RunFolder(Path("runs", chosen.name) if out is None else Path(out))
    folder.check_free(resume)
    check_writable(folder.path)
    rows = rows_for(chosen, data, columns, skip_broken=skip_broken)
    held_out, mapped = None, evaluation_columns
    if evaluation is not None:
        of_rows = columns if isinstance(columns, Mapping) else None
        held_out, mapped = held_out_rows(evaluation, of_rows, evaluation_columns, skip_broken)
    encoder = load(model) if isinstance(model, (str, Path)) else model
    if settings.max_length:
        check_max_length(encoder, settings.max_length)

    configuration = _configuration(chosen, data, columns, model, evaluation, mapped, settings, seed, rows, encoder)
    folder.check(configuration, resume)
    with full_disk_noticed(folder.path):
        return _run(chosen, rows, encoder, held_out, folder, settings, configuration, progress)


def _run(
    recipe: Recipe,
    rows: Dataset | DatasetDict,
    encoder: SentenceTransformer,
    held_out: Dataset | Retrieval | None,
    folder: RunFolder,
    options: TrainingOptions,
    configuration: dict[str, Any],
    progress: Progress | None,
) -> Run:
    from transformers import set_seed

    from nearfar.data.overlap import seen_in_training
    from nearfar.evaluation import evaluate
    from nearfar.evaluation.compared import paired_interval
    from nearfar.models.loading import check_weights

    seed, data = configuration["seed"], configuration["data"]
    source = None if "sets" in data else data["source"]  # of several, messages name the one they mean

    # Nothing is written before the recipe and the evaluation have accepted their data.
    set_seed(seed)
    with about(source, rows.column_names):
        plan: Any = recipe.prepare(encoder, rows, options)
        check_batches(plan, options)
    with about(configuration["evaluation"], getattr(held_out, "column_names", ("corpus", "queries"))):
        before = None if held_out is None else evaluate(encoder, held_out, seed=seed)
        said = [] if plan.measure is None else [dict(plan.measure(encoder, held_out))]
    similarities_before = _similarities(encoder, held_out, seed)
    folder.start(configuration)
    trained = train_stages(encoder, plan, options, folder, seed, held_out=held_out, progress=progress)
    check_weights(encoder, folder.path)
    if is_main_process():
        folder.replace_model(partial(_save, encoder, trained.plan))
    after = None if held_out is None else evaluate(encoder, held_out, seed=seed)

    similarities_after = _similarities(encoder, held_out, seed)
    similarities = (
        None if similarities_before is None or similarities_after is None else (similarities_before, similarities_after)
    )

    change = None if before is None or after is None else paired_interval(before, after, seed=seed)
    metrics = metrics_of(recipe.name, trained.steps, trained.log, before, after, change)
    if plan.measure is not None:
        metrics["measured"] = {"before": said[0], "after": dict(plan.measure(encoder, held_out))}
    if held_out is not None:
        metrics["held_out_seen_in_training"] = seen_in_training(together(rows), held_out)
    run = Run(folder.path, encoder, before, after, change, trained.log, similarities, metrics)
    if is_main_process():
        from nearfar.training.page import training_page

        training_page(run, configuration).write(folder.report)
        folder.write_json(folder.metrics, metrics)
    return run


def held_out_rows(
    source: Any, columns: Mapping[str, str] | None, own: Mapping[str, str] | None, skip_broken: bool = False
) -> tuple[Dataset | Retrieval, Mapping[str, str] | None]:
    """The evaluation rows, and the mapping by which they were read."""
    from nearfar.evaluation.rows import load_for_evaluation

    if own is not None or not columns:
        return load_for_evaluation(source, own, skip_broken=skip_broken), own
    try:
        return load_for_evaluation(source, columns, skip_broken=skip_broken), columns
    except InputError as error:
        if error.field != "columns":
            raise
        return load_for_evaluation(source, skip_broken=skip_broken), None


def _save(encoder: SentenceTransformer, plan: Plan, folder: str) -> None:
    encoder.save_pretrained(folder)
    if plan.save is not None:
        plan.save(Path(folder))


def _check_settings(options: TrainingOptions, evaluation: Any) -> None:
    import torch

    if options.eval_steps and evaluation is None:
        raise InputError("there is nothing to evaluate on", field="eval_steps", remedy="give --eval, or leave it out")
    if options.precision == "float16" and not torch.cuda.is_available():
        raise InputError("float16 needs a GPU", field="precision", remedy="use float32 or bfloat16")


def _configuration(
    recipe: Recipe,
    data: Any,
    columns: Columns | Sequence[Columns | None] | None,
    model: Any,
    evaluation: Any,
    evaluation_columns: Mapping[str, str] | None,
    options: TrainingOptions,
    seed: int,
    rows: Dataset | DatasetDict,
    encoder: SentenceTransformer,
) -> dict[str, Any]:
    from nearfar.models import fingerprint as of_model

    return {
        "recipe": recipe.name,
        "data": described(data, rows),
        "columns": dict(columns)
        if isinstance(columns, Mapping)
        else [dict(each or {}) for each in columns or ()] or None,
        "model": {"name": source_of(model), "weights": of_model(encoder)},
        "evaluation": source_of(evaluation),
        "evaluation_columns": None if evaluation_columns is None else dict(evaluation_columns),
        "options": asdict(options),
        "seed": seed,
        **made_by(),
    }


def made_by() -> dict[str, Any]:
    """The command and the versions that `run.yaml` records."""
    names = ("nearfar", "torch", "transformers", "sentence-transformers", "datasets")
    return {
        "command": shlex.join(sys.argv),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }


def _similarities(encoder: SentenceTransformer, held_out: Any, seed: int) -> PairSimilarity | None:
    from datasets import Dataset

    from nearfar.evaluation.similarity import pair_similarity

    if not isinstance(held_out, Dataset) or not {"anchor", "positive"} <= set(held_out.column_names):
        return None
    return pair_similarity(encoder, held_out, seed=seed)


def metrics_of(
    name: str,
    steps: int,
    log: list[dict[str, float]],
    before: Result | None,
    after: Result | None,
    change: Interval | None,
) -> dict[str, Any]:
    """What `metrics.json` says of any run."""
    losses = [entry["loss"] for entry in log if "loss" in entry]
    metrics: dict[str, Any] = {"recipe": name, "steps": steps, "last_loss": losses[-1] if losses else None}
    if before is not None and after is not None:
        # The wall clock is no result: the same seed must give the same file.
        metrics["before"], metrics["after"] = (
            {key: value for key, value in result.as_dict().items() if key != "seconds"} for result in (before, after)
        )
        metrics["difference"] = {
            "metric": before.primary,
            "value": _finite(after.score - before.score),
            "low": None if change is None else change.low,
            "high": None if change is None else change.high,
        }
    return metrics


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

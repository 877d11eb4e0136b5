"""A training run: takes a recipe, rows and a model of any kind, and writes a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nearfar.errors import InputError, about
from nearfar.kinds._processes import is_main_process, processes
from nearfar.models.abilities import Classifies
from nearfar.training.adapting import BaseModel
from nearfar.training.card import model_card, write_card
from nearfar.training.finishing import finished, report, rows_of_tasks
from nearfar.training.folder import RunFolder
from nearfar.training.forgetting import general_of, measurable
from nearfar.training.held_out import HeldOut, read_held_out, read_validation, split_documents, split_validation
from nearfar.training.longer import Changed, check_longer
from nearfar.training.measuring import Measuring
from nearfar.training.request import Request
from nearfar.training.result import Run, made_by
from nearfar.training.rows import STREAM, described, rows_for, source_of
from nearfar.training.stages import Prepared, prepared, train_stages
from nearfar.training.trainer_args import check_fsdp, check_gradient_cache
from nearfar.writing import check_writable, folder_claimed, full_disk_noticed

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from nearfar.data import Retrieval
    from nearfar.kinds.kind import Kind, Progress
    from nearfar.recipes import Recipe
    from nearfar.training.forgetting import GeneralSet
    from nearfar.training.rows import Columns, Sources

__all__ = ["run", "train"]


def train(
    recipe: str | Recipe,
    data: Sources,
    *,
    model: Any = None,
    evaluation: str | Path | Dataset | Retrieval | None = None,
    validation: str | Path | Dataset | Retrieval | None = None,
    keep: str | Path | Dataset | Retrieval | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    columns: Columns | Sequence[Columns | None] | None = None,
    weights: Sequence[float] | None = None,
    evaluation_columns: Mapping[str, str] | None = None,
    skip_broken: bool = False,
    keep_checkpoints: bool = False,
    trainer_args: str | Path | Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Train a model with a recipe.

    Args:
        recipe: A name from `nearfar.recipes.names()`, a path such as `./my_recipe.py`, or a recipe in memory.
        data: Training rows: a file, a folder of files, a Hub ID, or a dataset in memory. For a recipe that accepts
            several datasets: a list of them, or a dictionary by name (by role, if it has several roles).
        model: Base model: a folder, a Hub ID, an alias, or a model in memory (which is trained in place); by default
            the recipe's choice.
        evaluation: Rows or a BEIR-format dataset for the evaluation before and after training; documents for a language
            model, for which some of `data` are held out by default. Rows with a column `task` are evaluated by task.
        validation: Rows or a BEIR-format dataset that decide when training stops (`early_stopping`) and which
            checkpoint becomes the model (`checkpoint="best"`); by default some of `data` are held out for it.
        keep: General set, to measure what is forgotten: rows, documents or a BEIR-format dataset; `builtin` for the
            pairs that come with the package, `none` for no such measurement. By default `builtin` if there is
            `evaluation` and the base model encodes texts.
        out: The run folder, see `nearfar.training.folder`; by default `runs/<recipe>`.
        seed: Random seed for the order of rows, dropout and new parameters: the same seed gives the same results.
        resume: Continue the run in `out` from its last checkpoint. The result is the same as without an interruption.
            A finished run is trained further with more `epochs`, `max_steps` or stages, on the longer schedule; on a
            stream, with more tasks after those in `data`, and then `evaluation` may change too.
        columns: Canonical column name -> name in the file. For several datasets, a list with one for each, or
            one for all tasks of a stream or for all datasets that are joined.
        weights: How often the rows of each dataset count, e.g. `[2, 0.5]`: datasets of one schema are joined, for
            recipes on one dataset.
        evaluation_columns: The same for the evaluation rows. By default `columns` if they have its columns, otherwise
            no mapping.
        skip_broken: Skip rows whose image or audio file is missing or corrupted, and turns of dialogues without text; a
            note names them.
        keep_checkpoints: Keep the checkpoints of a finished run. By default, only the last optimizer state is kept,
            for further training, and no second copy of the weights.
        trainer_args: Further arguments of the Hugging Face trainer, by their names in
            `transformers.TrainingArguments`, such as `{"report_to": "tensorboard"}`; or a YAML or JSON file of them.
        progress: Called with step, number of steps, latest loss.
        **options: The recipe's hyper-parameters, such as `epochs=3`.

    Raises:
        InputError: An argument or the data is invalid; nothing has been written.
    """
    from nearfar.recipes import get

    return run(
        Request(
            get(recipe) if isinstance(recipe, str) else recipe,
            data,
            model=model,
            evaluation=evaluation,
            validation=validation,
            keep=keep,
            out=out,
            seed=seed,
            resume=resume,
            columns=columns,
            weights=weights,
            evaluation_columns=evaluation_columns,
            skip_broken=skip_broken,
            keep_checkpoints=keep_checkpoints,
            trainer_args=trainer_args,
            settings=options,
            progress=progress,
        )
    )


def run(request: Request) -> Run:
    """Read the data, prepare, evaluate, train, evaluate again, save, and write the report.

    Raises:
        InputError: The request or the data is invalid; nothing has been written.
    """
    request.check()
    folder = RunFolder(request.folder)
    if not folder.path.is_dir():
        folder.check_free(request.resume)
    check_writable(folder.path)
    # Before anything is read, which may take minutes. The other processes of torchrun work for the one that claims it.
    with folder_claimed(folder.path) if is_main_process() else nullcontext():
        folder.check_free(request.resume)
        return _claimed(request, folder)


def _claimed(request: Request, folder: RunFolder) -> Run:
    from transformers import set_seed

    from nearfar.data.fingerprint import fingerprint

    how: dict[str, Any] = {"weights": request.weights, "skip_broken": request.skip_broken}
    rows = rows_for(request.recipe, request.data, request.columns, **how)
    request = request.based_on(rows)
    held_out, general = read_held_out(request), general_of(request)
    set_seed(request.seed)  # loading may initialize a new head
    start = _start(request)
    validation = read_validation(request, held_out)
    configuration = _configuration(request, rows, held_out, start)
    if validation is not None:
        configuration["validation_sha256"] = fingerprint(validation.rows)
    changed = folder.check(configuration, request.resume, asdict(request.recipe.options()))
    if request.splits_documents:
        rows, documents = split_documents(rows, request.options.held_out, request.seed)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        held_out = None if documents is None else HeldOut(documents, {})
    if request.options.follows and validation is None:
        rows, validation = split_validation(request, rows)
    with full_disk_noticed(folder.path):
        return _run(request, rows, held_out, validation, general, start, folder, configuration, changed)


def _run(
    request: Request,
    rows: Dataset | DatasetDict,
    held_out: HeldOut | None,
    validation: HeldOut | None,
    general: GeneralSet | None,
    start: Any,
    folder: RunFolder,
    configuration: dict[str, Any],
    changed: Changed,
) -> Run:
    from nearfar.models.loading import check_weights
    from nearfar.models.size import peak_memory

    seed = request.seed
    # Nothing is written until the recipe and the evaluation have accepted their data.
    base, ready = _ready(request, rows, start, configuration["data"])
    if changed:
        check_longer(changed, ready, folder)
    model = ready.model
    if held_out is not None and request.recipe.roles == (STREAM,) and isinstance(model, Classifies):
        held_out = held_out.by_labels_of(cast("dict[str, Dataset]", rows))
    metric = "" if validation is None else validation.measure(model, seed).primary
    measuring = Measuring(ready, held_out, measurable(general, model, asked=request.keep is not None), seed)
    before = measuring.now()
    configuration["prompts"] = ready.prompts()
    folder.start(configuration)
    if changed:
        folder.lengthen(configuration, changed)
    with folder.cleared_if_refused(request.resume):
        trained = train_stages(
            ready,
            folder,
            seed,
            measure=None if held_out is None else lambda: held_out.measure(model, seed),
            validate=None if validation is None else lambda: validation.measure(model, seed),
            metric=metric,
            arguments=request.arguments,
            progress=request.progress,
            rows_in_step=request.rows_in_step,
            rows=rows_of_tasks(request.recipe, rows, ready.plan.count),
        )
    if base is not None:
        base.name_in_adapters()
    peak = peak_memory()
    check_weights(model.module, folder.path)
    if is_main_process():
        _save(request, folder, ready, configuration, trained.steps)
    after = measuring.now()
    followed = None if validation is None else {"rows": validation.size, "metric": metric, "stages": trained.followed}
    done = finished(request, folder, rows, measuring, before, after, trained, followed, peak)
    if is_main_process():
        report(request, folder, ready, configuration, done, trained)
    return done


def _ready(
    request: Request, rows: Dataset | DatasetDict, start: Any, data: Mapping[str, Any]
) -> tuple[BaseModel | None, Prepared]:
    """The plan of the recipe with its first trainer, and the base model of an adapter."""
    from transformers import set_seed

    set_seed(request.seed)
    with about(None if "sets" in data else data["source"], rows.column_names):  # with several, messages name theirs
        base = BaseModel.of(request, start)
        plan = request.recipe.prepare(start, rows, request.options)
        ready = prepared(plan, request.options, request.trial, base=base)
    check_gradient_cache(ready.first, request.arguments)
    check_fsdp(request.arguments)
    return base, ready


def _save(request: Request, folder: RunFolder, ready: Prepared, configuration: dict[str, Any], steps: int) -> None:
    """Put the model into its folder, with a card: the host libraries' own cards quote training rows."""
    card = model_card(ready.model, request.recipe, configuration, steps=steps)

    def save(part: str) -> None:
        ready.model.save(part)
        write_card(Path(part), card)

    folder.replace_model(save)


def _kind(request: Request) -> type[Kind]:
    """The kind of the base model; of a recipe that can start from several, the one of the model that was named."""
    from nearfar.kinds.loading import class_of, kind_named, of

    trains, start = request.recipe.trains, request.start
    if isinstance(trains, str):
        return kind_named(trains)
    kinds = [kind_named(name) for name in trains]
    words = " or ".join(kind.words for kind in kinds)
    if start is None:
        raise InputError("a base model is required", field="--model", remedy=f"pass {words}")
    found = class_of(start) if isinstance(start, (str, Path)) else type(of(start))
    if found not in kinds:
        raise InputError(f"expected {words}, got {found.words}", field="--model", remedy="pass another model")
    return found


def _start(request: Request) -> Any:
    """The model passed to `prepare`: loaded, or the name of the model from which the recipe makes a new one."""
    from nearfar.kinds.loading import of

    recipe, start = request.recipe, request.start
    if recipe.makes_model:
        return start
    kind = _kind(request)
    if start is None:
        raise InputError("a base model is required", field="--model", remedy=f"pass {kind.words}")
    model = kind.load(start) if isinstance(start, (str, Path)) else of(start)
    model.configure(request.options)
    return model.host


def _configuration(
    request: Request, rows: Dataset | DatasetDict, held_out: HeldOut | None, start: Any
) -> dict[str, Any]:
    """Contents of `run.yaml`."""
    from nearfar.data.fingerprint import fingerprint

    recorded = request.recorded()
    if held_out is not None:
        recorded["evaluation_columns"] = None if held_out.columns is None else dict(held_out.columns)
        recorded["evaluation_sha256"] = fingerprint(held_out.rows)
    return {
        "recipe": request.recipe.name,
        **request.recipe.recorded(),
        "data": described(request.data, rows),
        "columns": recorded.pop("columns"),
        "model": {"name": source_of(request.start), "weights": _weights(request, start)},
        **recorded,
        **({"processes": processes()} if processes() > 1 else {}),
        **made_by(),
    }


def _weights(request: Request, start: Any) -> str | None:
    """A hash of the base model; only of its configuration if the recipe makes new weights, None for a new tower."""
    from nearfar.kinds.loading import of
    from nearfar.models.aliases import SPEECH
    from nearfar.models.fingerprint import files_fingerprint
    from nearfar.models.loading import find
    from nearfar.models.new_language import shape_hash
    from nearfar.models.towers import SMALL

    if start is None or any(start in names for names in SMALL.values() if isinstance(start, str)):
        return None
    if isinstance(start, str) and start in SPEECH:
        return SPEECH[start].sha256
    if isinstance(start, (str, Path)):
        return shape_hash(start) if request.recipe.trains == "causal LM" else files_fingerprint(find(start))
    return of(start).fingerprint(request.start)

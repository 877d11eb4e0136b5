"""`compare`: train every compatible recipe, evaluate each on the same items, and rank them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.budget import settings_for
from nearfar.comparison.configurations import one_of_each, start_of
from nearfar.comparison.finished import Advice, finished
from nearfar.comparison.fitting import Fit, base_fit, fits
from nearfar.comparison.folder import WRITTEN, ComparisonFolder
from nearfar.comparison.forking import workers_forked
from nearfar.comparison.general import general_rows
from nearfar.comparison.notes import notes_of
from nearfar.comparison.prepared import Prepared, prepare, write_rows
from nearfar.comparison.ranking import BASE, choose_baseline, rank, recommendation, recommended
from nearfar.comparison.request import SEEDS, Request, chosen_recipes
from nearfar.comparison.result import Comparison
from nearfar.comparison.runner import Found, Runner
from nearfar.errors import InputError
from nearfar.writing import check_writable, folder_claimed, full_disk_noticed

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval
    from nearfar.kinds.kind import Progress

__all__ = ["compare"]


def compare(
    recipes: str | Sequence[str] | None = None,
    *,
    data: str | Path | Dataset | Sequence[str | Path | Dataset],
    evaluate_on: str | Path | Dataset | Retrieval | None = None,
    seeds: int = SEEDS,
    budget: float | None = None,
    model: str | Path | Sequence[str | Path] = "minilm",
    baseline: str | None = None,
    out: str | Path = "runs/compare",
    resume: bool = False,
    columns: Mapping[str, str] | Sequence[Mapping[str, str] | None] | None = None,
    evaluation_columns: Mapping[str, str] | None = None,
    weights: Sequence[float] | None = None,
    variants: Mapping[str, str | Path | Dataset] | None = None,
    held_out: float = 0.2,
    drop_leaks: bool = False,
    skip_broken: bool = False,
    keep: str | Path | Dataset | Retrieval | None = None,
    trainer_args: str | Path | Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    search: Mapping[str, Sequence[Any]] | None = None,
    validate_on: str | Path | Dataset | Retrieval | None = None,
    launcher: str | None = None,
    parallel: int = 1,
    progress: Progress | None = None,
    say: Callable[[str], object] | None = None,
    **options: Any,
) -> Comparison:
    """Train every recipe that is compatible with the data, and rank the trained models on the same evaluation items.

    All recipes have the same seeds and the same budget, and every run is a separate process. If a run fails, the others
    continue. If the comparison is interrupted, call it again with `resume`: finished runs are kept, and the interrupted
    one continues. A base model that cannot read the rows, such as a text encoder for images, is not ranked.

    Args:
        recipes: Names, or paths such as `./my_recipe.py`; by default all compatible recipes.
        data: Rows for training: a source, or several of one schema, which are joined.
        evaluate_on: Rows or a BEIR-format dataset for evaluation; by default, groups of `data` are held out.
        seeds: Number of runs per recipe, with the seeds 0, 1, ...
        budget: Total time in minutes: each run gets the same time, and the number of steps that fit into it. By default
            each run sees the same number of rows (`epochs` times all rows, by default once), or has `max_steps` steps.
        model: Base model, by name; several for a search.
        baseline: Model that the others are tested against: a recipe, or `base` for the base model; by default infonce,
            simcse, or the first recipe.
        out: Folder of the runs and the report, see `nearfar.comparison.folder`.
        resume: Whether to continue the comparison in `out`.
        columns, evaluation_columns: Canonical column name -> name in the file, as for `nearfar.train`; for several
            sources one mapping for all, or one for each (of `data`, and then of `variants`).
        weights: How often the training rows of each source count: 2 is twice, 0.5 half of them; by default once.
        variants: Other training rows by name, such as `{"mined": "triplets.jsonl"}`: every compatible recipe is trained
            on them, too, as `infonce+mined`, with the same seeds and budget, that is as many rows as of `data`. Rows
            that share a text with rows of `data` that are held out are removed; see `nearfar.comparison.variants`.
        held_out: Maximum fraction of rows to hold out if `evaluate_on` is None.
        drop_leaks: Remove training rows that are also evaluation rows; by default they are an error.
        skip_broken: Skip rows whose image or audio file is missing or corrupted.
        keep: General set, to measure what each recipe forgets: rows or a BEIR-format dataset; `builtin` for the pairs
            that come with the package, `none` for no such measurement. By default `builtin` if the base model encodes
            texts.
        trainer_args: Further arguments of the Hugging Face trainer for all runs, as for `nearfar.train`.
        settings: Options of the recipes: `temperature` for all that have it, `infonce.temperature` for one.
        search: Options and the values to try, such as `{"learning_rate": [1e-5, 5e-5], "lora_rank": [0, 16]}`. All
            combinations, with every recipe and base model, are trained by successive halving and chosen on validation
            rows; `evaluate_on`, or the rows that are held out, measures the finalists once. See
            `nearfar.comparison.search`.
        validate_on: Rows that a search chooses on; by default groups of the training rows are held out.
        launcher: A command that starts each run and waits for it, such as `srun --gres=gpu:1 {}`; see
            `nearfar.comparison.launching`. Runs and results are read from `out`, which all hosts must share.
        parallel: Number of runs at the same time, with a launcher.
        progress: Called with step, number of steps, latest loss, over all runs.
        say: Called with a line of text when a run is done.
        **options: The same as `settings`, for names without a dot.

    Raises:
        InputError: An argument or the data is invalid, or evaluation rows are training rows; nothing has been trained.
        RuntimeError: Every recipe failed.
    """
    if not isinstance(model, (str, Path)) and len(model) == 1:
        (model,) = model
    request = Request(
        chosen_recipes(recipes),
        data,
        evaluate_on,
        seeds,
        budget,
        model,
        baseline,
        out,
        resume,
        columns,
        evaluation_columns,
        weights,
        dict(variants or {}),
        held_out,
        drop_leaks,
        skip_broken,
        keep,
        trainer_args,
        {**(settings or {}), **options},
        dict(search or {}),
        validate_on,
        launcher,
        parallel,
        progress,
        say or (lambda _: None),
    )
    return _compare(request)


def _compare(request: Request) -> Comparison:
    request.check()
    folder = ComparisonFolder(Path(request.out))
    if not folder.path.is_dir():
        folder.check_free(request.resume)
    check_writable(folder.path)
    with folder_claimed(folder.path, parts=WRITTEN), workers_forked(folder.path):
        folder.check_free(request.resume)
        return _claimed(request, folder)


def _claimed(request: Request, folder: ComparisonFolder) -> Comparison:
    from nearfar.evaluation.tasks.task import columns_of

    prepared = prepare(request)
    sets = prepared.training_sets
    given = {*request.settings, *request.search}
    fitting = [fit for name, rows in sets.items() for fit in fits(request.recipes, rows.column_names, name, given)]
    bases = [base_fit(model, columns_of(prepared.held_out) or ()) for model in request.models]
    # The base models of a search have no result if one of them cannot read the rows.
    base = next((fit for fit in bases if fit.reason is not None), bases[0])
    taking = _compatible(request, fitting, base)
    # A recipe that is compatible with no rows at all is named once.
    fitting = [fit for fit in fitting if not fit.variant or fit.recipe in taking]
    request = replace(request, recipes=[recipe for recipe in request.recipes if recipe.name in taking])
    request.check_arguments()
    if request.searches:
        from nearfar.comparison.search import search

        return search(request, folder, prepared, [*fitting, base])
    own = settings_for(taking, {recipe.name: recipe.options for recipe in request.recipes}, request.settings)
    started = time.monotonic()
    folder.claim(request.configuration(prepared.sha256, prepared.variant_hashes))
    with full_disk_noticed(folder.path):
        write_rows(prepared, folder.data)
        chosen, measured = one_of_each(request, fitting, own), base.reason is None
        try:
            keep = general_rows(request, folder.data, base=measured)
            runner = Runner(request, folder, prepared, chosen, measured, keep)
            runner.measure_base()
            notes = runner.settle(started)
        except InputError:
            if not request.resume:
                folder.clear()  # nothing was trained, and the next call may use the same name
            raise
        # A budget of minutes may suffice for fewer seeds.
        request = replace(request, seeds=runner.seeds)
        return _finish(request, folder, prepared, [*fitting, base], runner.run_all(), notes)


def _compatible(request: Request, fitting: Sequence[Fit], base: Fit) -> list[str]:
    """The names of the recipes that are compatible with some of the training rows.

    Raises:
        InputError: No recipe is compatible with the rows of `data`, or with a variant; or the baseline is not.
    """
    taking = [fit for fit in fitting if fit.reason is None]
    for variant in dict.fromkeys(fit.variant for fit in fitting):
        own = [fit for fit in fitting if fit.variant == variant]
        if not any(fit in taking for fit in own):
            reasons = "; ".join(f"{fit.recipe} {fit.reason}" for fit in own)
            which = f"the variant {variant}" if variant else "these rows"
            remedy = "remove the names to compare all compatible recipes, or map the columns with --columns"
            raise InputError(f"no recipe is compatible with {which}: {reasons}", field="RECIPE", remedy=remedy)
    models = [*(fit.name for fit in taking), *([BASE] if base.reason is None else [])]
    if request.baseline is not None and request.baseline not in models:
        why = f" ({base.reason})" if request.baseline == BASE else ""
        remedy = f"choose from {', '.join(models)}"
        raise InputError(f"{request.baseline!r} is not part of the comparison{why}", field="--baseline", remedy=remedy)
    return list(dict.fromkeys(fit.recipe for fit in taking))


def _finish(
    request: Request,
    folder: ComparisonFolder,
    prepared: Prepared,
    fitting: list[Fit],
    ran: Found,
    notes: list[str],
) -> Comparison:
    from nearfar.comparison.page import comparison_page
    from nearfar.evaluation.chance import Chance, at_chance
    from nearfar.evaluation.result import metric_name

    found = ran.results
    ranked = [name for name in found if name != BASE]
    baseline = request.baseline if request.baseline in found else choose_baseline(ranked)
    first = found.get(BASE, found[ranked[0]])[0]
    ranking = rank(found, baseline)
    # Not known to results of earlier versions.
    chance = Chance(*first["chance"]) if "chance" in first else None
    if not at_chance((row.score for row in ranking), chance, first["n"]):
        chance = None
    chosen = recommended(ranking, chance)
    name = None if chosen is None else chosen.name
    model = None if name is None else _model_of(name, request, folder)
    advice = Advice(recommendation(ranking, metric_name(first["primary"]), chance), name, model, chance)
    notes = [*notes, *notes_of(request, prepared, fitting, found, ranking, baseline)]
    result = finished(request, folder, prepared, fitting, ran, ranking, advice, notes)
    facts = {name: getattr(request, name) for name in ("data", "variants", "model")}
    facts |= {"evaluation": request.evaluate_on, "options": request.settings}
    comparison_page(result, facts).write(folder.report)
    folder.write_metrics(result.metrics)
    return result


def _model_of(name: str, request: Request, folder: ComparisonFolder) -> str:
    return start_of(request.models[0]) if name == BASE else str(folder.run(f"{name}-0") / "model")

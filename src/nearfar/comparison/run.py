"""`compare`: train every recipe that fits, measure each on the same items, rank them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.budget import settings_for
from nearfar.comparison.fitting import Fit, fits
from nearfar.comparison.folder import ComparisonFolder
from nearfar.comparison.prepared import Prepared, lay_down, prepare
from nearfar.comparison.ranking import (
    UNTRAINED,
    Ranked,
    against_baseline,
    choose_baseline,
    rank,
    recommendation,
    recommended,
)
from nearfar.comparison.request import SEEDS, Request, chosen_recipes
from nearfar.comparison.result import Comparison, Failure
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
    data: str | Path | Dataset,
    evaluate_on: str | Path | Dataset | Retrieval | None = None,
    seeds: int = SEEDS,
    budget: float | None = None,
    model: str | Path = "minilm",
    baseline: str | None = None,
    out: str | Path = "runs/compare",
    resume: bool = False,
    columns: Mapping[str, str] | None = None,
    evaluation_columns: Mapping[str, str] | None = None,
    held_out: float = 0.2,
    drop_leaks: bool = False,
    skip_broken: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], object] | None = None,
    **options: Any,
) -> Comparison:
    """Train every recipe that fits the data, each by itself, and rank them on the same evaluation items.

    Every recipe is trained as often, with the same seeds and on the same budget, in a process of its own. One that
    fails does not stop the others. If interrupted and called again with `resume`, finished runs are kept and the one
    that was interrupted continues.

    Args:
        recipes: Names, or paths such as `./my_recipe.py`; all recipes that fit when None.
        data: Rows to train on.
        evaluate_on: Rows or a BEIR-format dataset to measure on; when None, groups of `data` are held out.
        seeds: Number of runs of each recipe, with the seeds 0, 1, ...
        budget: Minutes for everything: each training gets the same share, and takes the steps that fit into it. When
            None, each sees as many rows as the others: `epochs` (1 by default) times those there are, or takes
            `max_steps` steps.
        model: What every recipe starts from, by name.
        baseline: What the others are tested against: a recipe or `untrained` (the base model); infonce when None, or
            simcse, or the first named.
        out: The folder of the runs and of the report, see `nearfar.comparison.folder`.
        resume: Continue the comparison in `out`.
        columns, evaluation_columns: Canonical column name -> name in the file, as for `nearfar.train`.
        held_out: Maximum fraction of the rows that is held out, where `evaluate_on` is None.
        drop_leaks: Train without the rows that are evaluation rows too, instead of refusing.
        skip_broken: Skip rows whose image or audio file is missing or damaged.
        settings: Options of the recipes: `temperature` for all that have it, `infonce.temperature` for one.
        progress: Called with step, number of steps, latest loss, over all runs.
        say: Called with a line whenever a run is done.
        **options: The same as `settings`, for names without a point.

    Raises:
        InputError: what was passed in does not fit, or evaluation rows are training rows; nothing is trained then.
        RuntimeError: every recipe failed.
    """
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
        held_out,
        drop_leaks,
        skip_broken,
        {**(settings or {}), **options},
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
    with folder_claimed(folder.path):
        folder.check_free(request.resume)
        return _claimed(request, folder)


def _claimed(request: Request, folder: ComparisonFolder) -> Comparison:
    prepared = prepare(request)
    fitting = fits(request.recipes, prepared.training.column_names)
    taking = _taking(request, fitting)
    request = replace(request, recipes=[recipe for recipe in request.recipes if recipe.name in taking])
    own = settings_for(taking, {recipe.name: recipe.options for recipe in request.recipes}, request.settings)
    started = time.monotonic()
    folder.claim(_configuration(request, prepared))
    with full_disk_noticed(folder.path):
        lay_down(prepared, folder.data)
        runner = Runner(request, folder, prepared, {fit.recipe: fit.on_texts for fit in fitting}, own)
        try:
            runner.measure_untrained()
            notes = runner.settle(started)
        except InputError:
            if not request.resume:
                folder.clear()  # nothing was trained, and the next call may want the name
            raise
        return _finish(request, folder, prepared, fitting, runner.run_all(), notes)


def _taking(request: Request, fitting: Sequence[Fit]) -> list[str]:
    """The names of the recipes that take part.

    Raises:
        InputError: none does, or the baseline does not.
    """
    taking = [fit.recipe for fit in fitting if fit.reason is None]
    if not taking:
        reasons = "; ".join(f"{fit.recipe} {fit.reason}" for fit in fitting)
        remedy = "remove the names to compare all that fit, or map the columns with --columns"
        raise InputError(f"no recipe fits these rows: {reasons}", field="RECIPE", remedy=remedy)
    if request.baseline is not None and request.baseline not in (*taking, UNTRAINED):
        remedy = f"choose from {', '.join((*taking, UNTRAINED))}"
        raise InputError(f"{request.baseline!r} is not compared", field="--baseline", remedy=remedy)
    return taking


def _configuration(request: Request, prepared: Prepared) -> dict[str, Any]:
    """What `compare.yaml` records."""
    from nearfar.kinds.loading import load_kind
    from nearfar.training.result import made_by
    from nearfar.training.rows import source_of

    return {
        "recipes": [recipe.name for recipe in request.recipes],
        **request.recorded(),
        "sha256": list(prepared.sha256),
        "model": {
            "name": str(source_of(request.model)),
            "weights": load_kind(request.model).fingerprint(request.model),
        },
        **made_by(),
    }


def _finish(
    request: Request,
    folder: ComparisonFolder,
    prepared: Prepared,
    fitting: list[Fit],
    ran: Found,
    notes: list[str],
) -> Comparison:
    from nearfar.comparison.page import comparison_page
    from nearfar.evaluation.result import metric_name

    found = ran.results
    ranked = [name for name in found if name != UNTRAINED]
    baseline = request.baseline if request.baseline in found else choose_baseline(ranked)
    first = found[UNTRAINED][0]
    metric = metric_name(first["primary"])
    ranking = rank(found, baseline)
    chosen = recommended(ranking)
    model = request.start if chosen.name == UNTRAINED else str(folder.run(f"{chosen.name}-0") / "model")
    notes = [*notes, *_notes(request, prepared, fitting, found, ranking, baseline)]
    metrics = {
        "recommendation": recommendation(ranking, metric),
        "verdicts": against_baseline(ranking),
        "recommended": chosen.name,
        "model": model,
        "task": first["task"],
        "metric": first["primary"],
        "baseline": baseline,
        "seeds": request.seeds,
        "ranking": [row.as_dict() for row in ranking],
        "not_compared": [{"recipe": fit.recipe, "reason": fit.reason} for fit in fitting if fit.reason is not None],
        "failed": [_failed(each) for each in ran.failures],
        "on_texts": [fit.recipe for fit in fitting if fit.on_texts],
        "rows": {"training": len(prepared.training), "evaluation": first["n"]},
        "split": None if prepared.split is None else {**prepared.split.counts(), "says": str(prepared.split)},
        "leaks": {**prepared.leaks.as_dict(), "dropped_training_rows": prepared.dropped, "says": str(prepared.leaks)},
        "budget": ran.budget,
        "notes": notes,
    }
    result = Comparison(
        folder.path,
        metric,
        ranking,
        baseline,
        metrics["recommendation"],
        metrics["verdicts"],
        model,
        fitting,
        ran.failures,
        notes,
        metrics,
    )
    facts = {name: getattr(request, name) for name in ("data", "model")}
    facts |= {"evaluation": request.evaluate_on, "options": request.settings}
    comparison_page(result, facts).write(folder.report)
    folder.write_metrics(metrics)
    return result


def _failed(failure: Failure) -> dict[str, Any]:
    return {"recipe": failure.recipe, "seed": failure.seed, "reason": failure.reason, "log": str(failure.log)}


def _notes(
    request: Request,
    prepared: Prepared,
    fitting: Sequence[Fit],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    ranking: Sequence[Ranked],
    baseline: str,
) -> list[str]:
    """What a reader of the figures must know."""
    texts = [fit.recipe for fit in fitting if fit.on_texts and fit.recipe in found]
    runs = [run for several in found.values() for run in several]
    notes = [
        *_on_seeds(request.seeds),
        *_on_rows(texts, prepared),
        *_on_baseline(request.baseline, baseline),
        *_on_scores(runs, len(ranking)),
        *(note for run in runs for note in run["notes"]),
    ]
    return list(dict.fromkeys(notes))


def _on_seeds(seeds: int) -> Iterator[str]:
    if seeds == 1:
        yield "One seed: the intervals are over evaluation items alone, and another seed may rank otherwise."
    else:
        few = " Few seeds say little on how much training varies; 5 say more." if seeds < 5 else ""
        yield f"Intervals are over {seeds} seeds and over evaluation items.{few}"


def _on_rows(texts: Sequence[str], prepared: Prepared) -> Iterator[str]:
    if texts:
        yield f"Trained on the rows' texts one by one, without what joins them: {', '.join(texts)}."
    if prepared.dropped:
        yield f"{prepared.dropped:,} training rows were removed, because they are evaluation rows."
    if prepared.learn:
        yield "The classifier learns on the training rows' vectors, and is scored on the evaluation rows."


def _on_baseline(asked: str | None, baseline: str) -> Iterator[str]:
    if asked is not None and asked != baseline:
        yield f"{asked} failed, so the others are tested against {baseline}."


def _on_scores(runs: Sequence[Mapping[str, Any]], ranked: int) -> Iterator[str]:
    if any(run["metrics"][run["primary"]] is None for run in runs):
        yield "A model gave all pairs the same similarity: its correlation does not exist and counts as 0."
    if ranked > 2:
        yield (
            "The first of several is chosen by these very items, which flatters it a little: before a decision that "
            "matters, measure it once on others (nearfar evaluate)."
        )

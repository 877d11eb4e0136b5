"""`compare`: train every recipe that fits, measure each on the same items, rank them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from nearfar.comparison.runner import Failure, Runner
from nearfar.errors import InputError
from nearfar.writing import check_writable, full_disk_noticed

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval
    from nearfar.kinds.kind import Progress

SEEDS = 3


@dataclass(frozen=True)
class Comparison:
    """A finished comparison.

    Args:
        folder: Where everything is.
        metric: What was ranked by; higher is better.
        ranking: The best first; the model as it came is among them as `untrained`.
        baseline: What the others are tested against.
        recommendation: One sentence on what to use.
        verdicts: One sentence on what is significantly better than the baseline and what is not.
        model: What it recommends: a folder (of the first seed: to pick the luckiest would flatter), or the model's
            name where none is better.
        fits: Which recipes take part, and why others do not.
        failures: Recipes that failed, and how.
        notes: What a reader of the figures must know.
        metrics: What stands in `metrics.json`.
    """

    folder: Path
    metric: str
    ranking: list[Ranked]
    baseline: str
    recommendation: str
    verdicts: str
    model: str
    fits: list[Fit]
    failures: list[Failure]
    notes: list[str]
    metrics: dict[str, Any]


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
    fails does not stop the others. Killed and called again with `resume`, finished runs are kept and the one that was
    interrupted goes on.

    Args:
        recipes: Names; all that fit when None.
        data: Rows to train on.
        evaluate_on: Rows or a retrieval folder to measure on; when None, groups of `data` are held out.
        seeds: Trainings of each recipe, with the seeds 0, 1, ...
        budget: Minutes for everything: each training gets the same share, and takes the steps that fit into it. When
            None, each sees as many rows as the others: `epochs` (1 by default) times those there are, or takes
            `max_steps` steps.
        model: What every recipe starts from, by name.
        baseline: What the others are tested against: a recipe or `untrained`; infonce when None, or simcse, or the
            first named.
        out: The folder of the runs and of the report, see `nearfar.comparison.folder`.
        resume: Go on with the comparison in `out`.
        columns, evaluation_columns: Canonical column name -> name in the file, as for `nearfar.train`.
        held_out: Of the rows, at most, where `evaluate_on` is None.
        drop_leaks: Train without the rows that are evaluation rows too, instead of refusing.
        skip_broken: Leave out rows whose picture or recording is missing or damaged.
        settings: Options of the recipes: `temperature` for all that have it, `infonce.temperature` for one.
        progress: Called with step, steps in all, latest loss, over all runs.
        say: Called with a line whenever a run is done.
        **options: The same as `settings`, for names without a point.

    Raises:
        InputError: what was passed in does not fit, or evaluation rows are training rows; nothing is trained then.
        RuntimeError: every recipe failed.
    """
    from nearfar.recipes import get, names

    named = [recipes] if isinstance(recipes, str) else recipes
    chosen = [get(name) for name in dict.fromkeys(named or names())]
    if seeds < 1:
        raise InputError(f"{seeds} trainings tell nothing", field="--seeds", remedy="use 1 or more, e.g. 3")
    if budget is not None and not 0 < budget < float("inf"):
        raise InputError(f"{budget} is no time", field="--budget", remedy="give minutes, e.g. 60")
    folder = ComparisonFolder(Path(out))
    folder.check_free(resume)
    check_writable(folder.path)
    prepared = prepare(
        data,
        evaluate_on,
        columns=columns,
        evaluation_columns=evaluation_columns,
        share=held_out,
        drop_leaks=drop_leaks,
        skip_broken=skip_broken,
    )
    fitting = fits(chosen, prepared.training.column_names)
    taking = [fit.recipe for fit in fitting if fit.reason is None]
    if not taking:
        reasons = "; ".join(f"{fit.recipe} {fit.reason}" for fit in fitting)
        remedy = "leave the names out to compare all that fit, or map the columns with --columns"
        raise InputError(f"no recipe fits these rows: {reasons}", field="RECIPE", remedy=remedy)
    if baseline is not None and baseline not in (*taking, UNTRAINED):
        remedy = f"choose from {', '.join((*taking, UNTRAINED))}"
        raise InputError(f"{baseline!r} is not compared", field="--baseline", remedy=remedy)
    wanted = {**(settings or {}), **options}
    if budget is not None and {"epochs", "max_steps"} & {key.rpartition(".")[2] for key in wanted}:
        problem = "says how long to train, and so does the budget"
        raise InputError(problem, field="--set", remedy="leave out epochs and max_steps, or --budget")
    classes = {recipe.name: recipe.options for recipe in chosen if recipe.name in taking}
    own = settings_for(taking, classes, wanted)
    started = time.monotonic()
    configuration = _configuration(
        taking, prepared, data, evaluate_on, columns, evaluation_columns, model, wanted, seeds, budget, held_out
    )
    with folder.locked():
        folder.claim(configuration)
        with full_disk_noticed(folder.path):
            lay_down(prepared, folder.data)
            runner = Runner(folder, prepared, fitting, str(model), own, classes, seeds, progress, say)
            try:
                runner.measure_untrained()
                notes = runner.settle(budget, started)
            except InputError:
                if not resume:
                    shutil.rmtree(folder.path)  # nothing was trained, and the next call may want the name
                raise
            found, failures = runner.run_all()
            facts = {"data": data, "evaluation": evaluate_on, "model": model, "options": wanted}
            return _finish(folder, prepared, runner, fitting, found, failures, baseline, notes, facts)


def _configuration(
    recipes: list[str],
    prepared: Prepared,
    data: Any,
    evaluate_on: Any,
    columns: Mapping[str, str] | None,
    evaluation_columns: Mapping[str, str] | None,
    model: str | Path,
    options: Mapping[str, Any],
    seeds: int,
    budget: float | None,
    held_out: float,
) -> dict[str, Any]:
    from nearfar.models import fingerprint, load
    from nearfar.training.result import made_by
    from nearfar.training.rows import source_of

    return {
        "recipes": recipes,
        "seeds": seeds,
        "budget": budget,
        "data": source_of(data),
        "columns": None if columns is None else dict(columns),
        "evaluation": source_of(evaluate_on),
        "evaluation_columns": None if evaluation_columns is None else dict(evaluation_columns),
        "held_out": held_out if evaluate_on is None else None,
        "sha256": list(prepared.sha256),
        "model": {"name": str(source_of(model)), "weights": fingerprint(load(model))},
        "options": {key: str(value) for key, value in options.items()},
        **made_by(),
    }


def _finish(
    folder: ComparisonFolder,
    prepared: Prepared,
    runner: Runner,
    fitting: list[Fit],
    found: dict[str, list[dict[str, Any]]],
    failures: list[Failure],
    asked: str | None,
    notes: list[str],
    facts: Mapping[str, Any],
) -> Comparison:
    from nearfar.comparison.page import comparison_page
    from nearfar.evaluation.result import metric_name

    ranked = [name for name in found if name != UNTRAINED]
    baseline = asked if asked in found else choose_baseline(ranked)
    first = found[UNTRAINED][0]
    metric = metric_name(first["primary"])
    ranking = rank(found, baseline)
    chosen = recommended(ranking)
    model = runner.model if chosen.name == UNTRAINED else str(folder.run(f"{chosen.name}-0") / "model")
    notes = [*notes, *_notes(prepared, runner, fitting, found, ranking, baseline, asked)]
    metrics = {
        "recommendation": recommendation(ranking, metric),
        "verdicts": against_baseline(ranking),
        "recommended": chosen.name,
        "model": model,
        "task": first["task"],
        "metric": first["primary"],
        "baseline": baseline,
        "seeds": runner.seeds,
        "ranking": [row.as_dict() for row in ranking],
        "not_compared": [{"recipe": fit.recipe, "reason": fit.reason} for fit in fitting if fit.reason is not None],
        "failed": [
            {"recipe": each.recipe, "seed": each.seed, "reason": each.reason, "log": str(each.log)} for each in failures
        ],
        "on_texts": [fit.recipe for fit in fitting if fit.on_texts],
        "rows": {"training": len(prepared.training), "evaluation": first["n"]},
        "split": None if prepared.split is None else {**_counts(prepared), "says": str(prepared.split)},
        "leaks": {**prepared.leaks.as_dict(), "dropped_training_rows": prepared.dropped, "says": str(prepared.leaks)},
        "budget": runner.budget or {"steps": runner.steps},
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
        failures,
        notes,
        metrics,
    )
    comparison_page(result, facts).write(folder.report)
    folder.write_metrics(metrics)
    return result


def _counts(prepared: Prepared) -> dict[str, Any]:
    split = prepared.split
    assert split is not None
    return {"groups": split.groups, "largest": split.largest, "by_negatives": split.by_negatives}


def _notes(
    prepared: Prepared,
    runner: Runner,
    fitting: Sequence[Fit],
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    ranking: Sequence[Ranked],
    baseline: str,
    asked: str | None,
) -> list[str]:
    notes = []
    if runner.seeds == 1:
        notes.append("One seed: the intervals are over evaluation items alone, and another seed may rank otherwise.")
    else:
        few = " Few seeds say little on how much training varies; 5 say more." if runner.seeds < 5 else ""
        notes.append(f"Intervals are over {runner.seeds} seeds and over evaluation items.{few}")
    if texts := [fit.recipe for fit in fitting if fit.on_texts and fit.recipe in found]:
        notes.append(f"Trained on the rows' texts one by one, without what joins them: {', '.join(texts)}.")
    if prepared.dropped:
        notes.append(f"{prepared.dropped:,} training rows were left out, because they are evaluation rows.")
    if prepared.learn:
        notes.append("The classifier learns on the training rows' vectors, and is scored on the evaluation rows.")
    if asked is not None and asked != baseline:
        notes.append(f"{asked} failed, so the others are tested against {baseline}.")
    if None in (run["metrics"][run["primary"]] for runs in found.values() for run in runs):
        notes.append("A model gave all pairs the same similarity: its correlation does not exist and counts as 0.")
    if len(ranking) > 2:
        notes.append(
            "The first of several is chosen by these very items, which flatters it a little: before a decision that "
            "matters, measure it once on others (nearfar evaluate)."
        )
    return [*notes, *dict.fromkeys(note for runs in found.values() for run in runs for note in run["notes"])]

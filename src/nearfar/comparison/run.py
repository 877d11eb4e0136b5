"""`compare`: train every recipe that fits, measure each on the same items, rank them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.budget import (
    TRIAL_STEPS,
    Trial,
    by_minutes,
    by_rows,
    checkpoints,
    settings_for,
    trial_of,
)
from nearfar.comparison.fitting import Fit, fits
from nearfar.comparison.folder import ComparisonFolder
from nearfar.comparison.jobs import Job, is_done, result_of, run_job
from nearfar.comparison.prepared import TEXTS, TRAINING, Prepared, evaluation_in, lay_down, prepare
from nearfar.comparison.ranking import (
    UNTRAINED,
    Ranked,
    against_baseline,
    choose_baseline,
    rank,
    recommendation,
    recommended,
)
from nearfar.errors import InputError
from nearfar.writing import check_writable, full_disk_noticed

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval
    from nearfar.training.options import TrainingOptions
    from nearfar.training.trainer import Progress

SEEDS = 3


@dataclass(frozen=True)
class Failure:
    """A recipe that could not be ranked.

    Args:
        recipe: Its name.
        seed: Of the run that failed.
        reason: The last line that it said.
        log: All that it said.
    """

    recipe: str
    seed: int
    reason: str
    log: Path


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
            runner = _Runner(folder, prepared, fitting, str(model), own, classes, seeds, progress, say)
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
    from nearfar.training.rows import source_of
    from nearfar.training.run import made_by

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


class _Runner:
    """Runs the jobs of a comparison one after another."""

    def __init__(
        self,
        folder: ComparisonFolder,
        prepared: Prepared,
        fitting: Sequence[Fit],
        model: str,
        settings: Mapping[str, Mapping[str, Any]],
        options: Mapping[str, type[TrainingOptions]],
        seeds: int,
        progress: Progress | None,
        say: Callable[[str], object] | None,
    ) -> None:
        self.folder, self.prepared, self.settings, self.options = folder, prepared, settings, options
        self.on_texts = {fit.recipe: fit.on_texts for fit in fitting}
        self.model = str(Path(model).absolute()) if Path(model).exists() else model
        self.seeds, self.progress, self.say = seeds, progress, say or (lambda _: None)
        self.steps: dict[str, int] = {}
        self.budget: dict[str, Any] = {}
        self.early: list[Failure] = []

    def settle(self, minutes: float | None, started: float) -> list[str]:
        """Decide each recipe's steps, unless that was done before. Returns what a reader must know of it."""
        from nearfar.training.options import with_settings

        self.budget = self.folder.read_budget() if minutes is not None else {}
        if minutes is not None:
            if not self.budget:
                self.budget = self._tried(minutes, started)
                self.folder.write_budget(self.budget)
            self.steps = self.budget["steps"]
            self.early = [
                Failure(name, 0, reason, self._log(f"trial-{name}")) for name, reason in self.budget["failed"].items()
            ]
            return [
                f"{minutes:g} minutes for everything: each training gets the same seconds, and takes the steps that "
                "fit into them at the pace of a trial. A recipe whose steps cost more takes fewer."
            ]
        full = {name: with_settings(kind(), self.settings[name]) for name, kind in self.options.items()}
        rows, scored = len(self.prepared.training), "score" in self.prepared.training.column_names
        for name, own in full.items():
            epochs = own.epochs if "epochs" in self.settings[name] else 1.0
            self.steps[name] = own.max_steps or by_rows({name: own}, rows, epochs, scored=scored)[name]
        self.folder.write_budget({"steps": self.steps})
        if len({own.max_steps for own in full.values()}) > 1:
            return ["Budgets are not equal: recipes were given different max_steps."]
        if any(own.max_steps for own in full.values()):
            return ["Equal numbers of steps, as max_steps says; batch sizes are each recipe's own unless set."]
        passes = {float(self.settings[name].get("epochs", 1.0)) for name in full}
        if len(passes) > 1:
            return ["Budgets are not equal: recipes were given different epochs."]
        seen = f"each training sees {round(rows * passes.pop()):,} rows, in batches of its recipe's own size unless set"
        return [f"Equal budgets: {seen}. What a recipe does before its first step is not counted; the cost shows it."]

    def measure_untrained(self) -> None:
        """The model as it came: the simplest baseline, and what shows whether the evaluation data can be used.

        Raises:
            InputError: it cannot.
            RuntimeError: measuring failed otherwise.
        """
        job = self._job(None, 0)
        failed = None if is_done(job) else run_job(job, self.folder.logs)
        if failed is not None and failed.refused:
            raise InputError(f"the model cannot be measured on this data: {failed.reason}", field="--eval")
        if failed is not None:
            raise RuntimeError(f"the model cannot be measured: {failed.reason}")
        self._announce(job)

    def run_all(self) -> tuple[dict[str, list[dict[str, Any]]], list[Failure]]:
        """What was measured with each seed of each recipe that failed in none, and the failures."""
        failures, lost = list(self.early), {failure.recipe for failure in self.early}
        names = [name for name in self.steps if name not in lost]
        jobs = [self._job(name, seed) for seed in range(self.seeds) for name in names]
        planned = sum(self.steps[str(job.recipe)] for job in jobs)
        done = 0
        for job in jobs:
            name, steps = str(job.recipe), self.steps[str(job.recipe)]
            if name not in lost and not is_done(job):
                failed = run_job(job, self.folder.logs, self._shifted(done, planned, steps))
                if failed is not None:
                    lost.add(name)
                    failures.append(Failure(name, job.seed, failed.reason, self._log(job.name)))
                    self.say(f"{name}, seed {job.seed}: failed: {failed.reason}")
            if name not in lost:
                self._announce(job)
            done += steps
            if self.progress is not None:
                self.progress(done, planned, None)
        found = {name: [result_of(self._job(name, s)) for s in range(self.seeds)] for name in names if name not in lost}
        if not found:
            lines = "; ".join(f"{failure.recipe}: {failure.reason}" for failure in failures)
            raise RuntimeError(f"every recipe failed ({lines}); see {self.folder.logs}")
        return {**found, UNTRAINED: [result_of(self._job(None, 0))]}, failures

    def _job(self, recipe: str | None, seed: int) -> Job:
        name = UNTRAINED if recipe is None else f"{recipe}-{seed}"
        training = self.folder.data / TRAINING
        settings: dict[str, Any] = {}
        if recipe is not None:
            steps = self.steps[recipe]
            settings = {"save_steps": checkpoints(steps), **self.settings[recipe], "max_steps": steps}
            settings.pop("epochs", None)
        return Job(
            name,
            recipe,
            self.model,
            str((self.folder.data / TEXTS if self.on_texts.get(recipe or "") else training).absolute()),
            str(evaluation_in(self.folder.data).absolute()),
            str(training.absolute()) if self.prepared.learn else None,
            str(self.folder.run(name).absolute()),
            str(self.folder.result(name).absolute()),
            seed,
            settings,
        )

    def _tried(self, minutes: float, started: float) -> dict[str, Any]:
        """A short training of each recipe, timed; the steps that follow, and which recipes failed already."""
        trials: dict[str, Trial] = {}
        failed: dict[str, str] = {}
        for number, name in enumerate(self.options):
            self.steps = {name: TRIAL_STEPS}
            job = self._job(name, 0)
            place = self.folder.path / "trials" / name
            job = replace(job, name=f"trial-{name}", run=str(place.absolute()), result=str(place.absolute()) + ".json")
            job.settings["save_steps"] = TRIAL_STEPS
            shutil.rmtree(place.parent, ignore_errors=True)
            begun = time.monotonic()
            ended = run_job(job, self.folder.logs)
            if ended is None:
                trials[name] = trial_of(result_of(job)["cost"], time.monotonic() - begun)
                self.say(f"trial {number + 1} of {len(self.options)}: {name}, {trials[name].pace:.2f} s a step")
            else:
                failed[name] = ended.reason
                self.say(f"trial {number + 1} of {len(self.options)}: {name} failed: {ended.reason}")
            shutil.rmtree(place.parent, ignore_errors=True)
        if not trials:
            raise RuntimeError(f"every recipe failed ({'; '.join(f'{n}: {r}' for n, r in failed.items())})")
        steps = by_minutes(minutes, trials, self.seeds, time.monotonic() - started)
        return {"minutes": minutes, "steps": steps, "failed": failed, "trials": {n: vars(t) for n, t in trials.items()}}

    def _shifted(self, done: int, planned: int, steps: int) -> Callable[[int, int, float | None], None]:
        def update(step: int, of: int, loss: float | None) -> None:
            if self.progress is not None:
                self.progress(done + min(steps, steps * step // max(of, 1)), planned, loss)

        return update

    def _announce(self, job: Job) -> None:
        found = result_of(job)
        who = UNTRAINED if job.recipe is None else f"{job.recipe}, seed {job.seed}"
        score = found["metrics"][found["primary"]]
        value = "undefined" if score is None else f"{score:.3f}"
        cost = "" if "cost" not in found else f" ({found['cost']['steps']:,} steps, {found['cost']['seconds']:,.0f} s)"
        self.say(f"{who}: {found['primary']} {value}{cost}")

    def _log(self, name: str) -> Path:
        return self.folder.logs / f"{name}.log"


def _finish(
    folder: ComparisonFolder,
    prepared: Prepared,
    runner: _Runner,
    fitting: list[Fit],
    found: dict[str, list[dict[str, Any]]],
    failures: list[Failure],
    asked: str | None,
    notes: list[str],
    facts: Mapping[str, Any],
) -> Comparison:
    from nearfar.reports.comparison import comparison_page
    from nearfar.reports.training import metric_name

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
    runner: _Runner,
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

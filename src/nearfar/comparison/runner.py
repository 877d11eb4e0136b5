"""Runs the jobs of a comparison; jobs that are already done are skipped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.comparison.budget import (
    TRIAL_STEPS,
    UNEQUAL,
    Trial,
    by_minutes,
    by_rows,
    checkpoints,
    rows_in_step,
    trial_of,
)
from nearfar.comparison.configurations import start_of
from nearfar.comparison.fitting import base_kind
from nearfar.comparison.folder import ComparisonFolder
from nearfar.comparison.forking import wait_for_start
from nearfar.comparison.jobs import Job, end_all, is_done, result_of, run_job
from nearfar.comparison.prepared import Prepared, evaluation_in, training_in
from nearfar.comparison.ranking import BASE, label
from nearfar.comparison.result import Failure
from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.comparison.configurations import Configuration
    from nearfar.comparison.request import Request
    from nearfar.kinds.options import TrainingOptions


#: Options that change nothing about the time of a step.
_FREE = ("learning_rate", "temperature", "warmup_ratio", "weight_decay")


class Found(NamedTuple):
    """The results of all jobs.

    Args:
        results: The results of all seeds by recipe, without recipes that failed, and that of the base model if it
            was evaluated.
        failures: The recipes that failed.
        budget: The number of steps of each recipe, and how it was decided.
    """

    results: dict[str, list[dict[str, Any]]]
    failures: list[Failure]
    budget: dict[str, Any]


class Runner:
    """Runs the jobs of a comparison one after another, or several at the same time through a launcher.

    Args:
        request: The request, with only the compatible recipes.
        folder: Folder of the comparison.
        prepared: The rows.
        configurations: What is trained, by name: in a comparison of recipes one of each on each of the training rows.
        base: Whether the base model can be evaluated on the rows; otherwise it has no result.
        keep: The general set on which every model is measured, too: `builtin` or a path.
    """

    def __init__(
        self,
        request: Request,
        folder: ComparisonFolder,
        prepared: Prepared,
        configurations: Mapping[str, Configuration],
        base: bool = True,
        keep: str | None = None,
    ) -> None:
        self.request, self.folder, self.prepared = request, folder, prepared
        self.configurations, self.say, self.progress = configurations, request.say, request.progress
        self.seeds, self.base, self.keep = request.seeds, base, keep
        self.steps: dict[str, int] = {}
        #: Rows that a step of each recipe stands for, where all draw as many rows.
        self.rows: dict[str, int] = {}
        self.budget: dict[str, Any] = {}
        self.early: list[Failure] = []

    def settle(self, started: float) -> list[str]:
        """Decide the number of steps of each recipe, unless that was done before. Returns notes for the reader."""
        minutes = self.request.budget
        self.budget = self.folder.read_budget() if minutes is not None else {}
        if minutes is not None:
            if not self.budget:
                self.budget = self._tried(minutes, started)
                self.folder.write_budget(self.budget)
            self.steps, self.seeds = self.budget["steps"], self.budget.get("seeds", self.request.seeds)
            self.early = [
                Failure(name, 0, reason, self._log(f"trial-{name}")) for name, reason in self.budget["failed"].items()
            ]
            fewer = self.seeds < self.request.seeds
            return [
                f"{minutes:g} minutes in total: each run gets the same time, and the number of steps that fit into it "
                "at the speed of a trial. A recipe with slower steps gets fewer steps.",
                *([f"There was time for {self.seeds} of {self.request.seeds} seeds."] if fewer else []),
            ]
        full = self.count_rows()
        rows = len(self.prepared.training)
        of = " (of variants, too)" if self.prepared.variants else ""
        self.folder.write_budget({"steps": self.steps})
        if len({own.max_steps for own in full.values()}) > 1:
            return [f"{UNEQUAL}: recipes were given different max_steps."]
        if any(own.max_steps for own in full.values()):
            return ["Equal number of steps (max_steps); each recipe uses its own batch size unless batch_size is set."]
        passes = {float(each.settings.get("epochs", 1.0)) for each in self.configurations.values()}
        if len(passes) > 1:
            return [f"{UNEQUAL}: recipes were given different epochs."]
        count = round(rows * passes.pop())
        seen = f"each run sees {count:,} rows{of}, with the recipe's own batch size unless it is set"
        return [f"Equal budgets: {seen}. Work before the first step is not counted, but included in the cost."]

    def count_rows(self, share: float = 1.0) -> dict[str, TrainingOptions]:
        """Give each configuration the steps in which it sees the same rows, or `max_steps`.

        Args:
            share: Fraction of these steps.

        Returns:
            The options of each configuration.
        """
        from nearfar.kinds.options import with_settings

        full = {name: with_settings(each.recipe.options(), each.settings) for name, each in self.configurations.items()}
        sets = self.prepared.training_sets
        for name, own in full.items():
            each = self.configurations[name]
            training = sets[each.variant]
            rows, scored = len(training), "score" in training.column_names
            # Of a variant, too, as many rows are seen as `data` has, so that the budget is equal.
            seen = share * (own.epochs if "epochs" in each.settings else 1.0) * len(self.prepared.training)
            limit = max(1, round(share * own.max_steps)) if own.max_steps else 0
            self.steps[name] = limit or by_rows(own, seen, rows, scored=scored)
            self.rows[name] = 0 if own.max_steps else rows_in_step(own, rows, scored=scored)
        return full

    def measure_base(self) -> None:
        """Evaluate the base model, if it can be: the simplest baseline, and a check of the evaluation data.

        Raises:
            InputError: The evaluation data cannot be used.
            RuntimeError: The evaluation failed for another reason.
        """
        if not self.base:
            return
        job = self._job(None, 0)
        failed = None if is_done(job) else run_job(job, self.folder.logs)
        if failed is not None and failed.refused:
            raise InputError(f"the model cannot be evaluated on this data: {failed.reason}", field="--eval")
        if failed is not None:
            log = self._log(job.name)
            raise RuntimeError(f"the evaluation of the base model failed: {failed.reason} (see {log})")
        self._announce(job)

    def run_all(self) -> Found:
        """Run every job that is not done yet."""
        failures, lost = list(self.early), {failure.recipe for failure in self.early}
        names = [name for name in self.steps if name not in lost]
        jobs = [(name, self._job(name, seed)) for seed in range(self.seeds) for name in names]
        planned = sum(self.steps[name] for name, _ in jobs)
        done = dict.fromkeys((job.name for _, job in jobs), 0)
        one_speaks = Lock()

        def run_one(name: str, job: Job) -> None:
            steps = self.steps[name]

            def progress(step: int, of: int, loss: float | None) -> None:
                with one_speaks:
                    done[job.name] = min(steps, steps * step // max(of, 1))
                    if self.progress is not None:
                        self.progress(sum(done.values()), planned, loss)

            failed = run_job(job, self.folder.logs, progress) if name not in lost and not is_done(job) else None
            with one_speaks:
                if failed is not None:
                    lost.add(name)
                    failures.append(Failure(name, job.seed, failed.reason, self._log(job.name)))
                    self.say(f"{name}, seed {job.seed}: failed: {failed.reason}")
                if name not in lost:
                    self._announce(job)
            progress(steps, steps, None)

        self._each(run_one, jobs)
        found = {name: [result_of(self._job(name, s)) for s in range(self.seeds)] for name in names if name not in lost}
        if not found:
            lines = "; ".join(f"{failure.recipe}: {failure.reason}" for failure in failures)
            raise RuntimeError(f"every recipe failed ({lines}); see {self.folder.logs}")
        if self.base:
            found[BASE] = [result_of(self._job(None, 0))]
        return Found(found, failures, self.budget or {"steps": self.steps})

    def _each(self, run_one: Callable[[str, Job], None], jobs: Sequence[tuple[str, Job]]) -> None:
        """Run jobs one after another, or several at the same time through a launcher."""
        if self.request.parallel == 1:
            for name, job in jobs:
                run_one(name, job)
            return
        with ThreadPoolExecutor(self.request.parallel) as pool:
            started = [pool.submit(run_one, name, job) for name, job in jobs]
            try:
                for each in started:
                    each.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                end_all()
                raise

    def _job(self, name: str | None, seed: int) -> Job:
        configuration = None if name is None else self.configurations[name]
        named = BASE if name is None else f"{name}-{seed}"
        settings: dict[str, Any] = {}
        if configuration is not None:
            steps = self.steps[configuration.name]
            settings = {"save_steps": checkpoints(steps), **configuration.settings, "max_steps": steps}
            settings.pop("epochs", None)
        variant, on_texts = ("", False) if configuration is None else (configuration.variant, configuration.on_texts)
        return Job(
            named,
            None if configuration is None else str(configuration.recipe.file or configuration.recipe.name),
            start_of(self.request.models[0]) if configuration is None else configuration.model,
            str(training_in(self.folder.data, variant, texts=on_texts).absolute()),
            str(evaluation_in(self.folder.data).absolute()),
            str(training_in(self.folder.data).absolute()) if self.prepared.learn else None,
            str(self.folder.run(named).absolute()),
            str(self.folder.result(named).absolute()),
            seed,
            settings,
            rows_in_step=self.rows.get(name or "", 0),
            timed=self.request.searches,
            launcher=self.request.launcher,
            keep=self.keep,
            kind=base_kind(self.request.models[0], self.request.recipes) if configuration is None else None,
            trainer_args=self.request.arguments or None,
        )

    def _tried(self, minutes: float, started: float) -> dict[str, Any]:
        """Time a short trial of each recipe. Returns the number of steps of each recipe, and which trials failed."""
        trials, failed = self.time_trials()
        spent = time.monotonic() - started
        steps, seeds = by_minutes(minutes, trials, self.request.seeds, spent)
        if seeds < self.request.seeds:
            self.say(
                f"{minutes:g} minutes suffice for {seeds} of {self.request.seeds} seeds: the work before the runs "
                f"(base model, trials) took {spent:.0f} s of them"
            )
        return {
            "minutes": minutes,
            "steps": steps,
            "seeds": seeds,
            "failed": failed,
            "trials": {name: vars(trial) for name, trial in trials.items()},
        }

    def time_trials(self) -> tuple[dict[str, Trial], dict[str, str]]:
        """Time a short trial of each configuration, or of one of those that differ only in options without a cost.

        Returns:
            The trials, and why others failed.

        Raises:
            RuntimeError: Every trial failed.
        """
        trials: dict[str, Trial] = {}
        failed: dict[str, str] = {}
        first: dict[tuple[Any, ...], str] = {}
        if self.request.launcher is None:
            wait_for_start()
        for number, name in enumerate(self.configurations):
            other = first.setdefault(_pace_of(self.configurations[name]), name)
            if other != name:
                if other in trials:
                    trials[name] = trials[other]
                else:
                    failed[name] = failed[other]
                continue
            self.steps = {name: TRIAL_STEPS}
            job = self._job(name, 0)
            place = self.folder.path / "trials" / name
            at = str(place.absolute())
            job = replace(job, name=f"trial-{name}", run=at, result=f"{at}.json", trial=TRIAL_STEPS)
            job.settings.update(save_steps=TRIAL_STEPS, max_steps=0)
            shutil.rmtree(place.parent, ignore_errors=True)
            begun = time.monotonic()
            ended = run_job(job, self.folder.logs)
            if ended is None:
                trials[name] = trial_of(result_of(job)["cost"], time.monotonic() - begun)
                found = trials[name]
                self.say(
                    f"trial {number + 1} of {len(self.configurations)}: {name}, {found.pace:.2f} s per step and "
                    f"{found.fixed + found.around:.0f} s besides the steps (start-up, loading, saving, evaluation)"
                )
            else:
                failed[name] = ended.reason
                self.say(f"trial {number + 1} of {len(self.configurations)}: {name} failed: {ended.reason}")
            shutil.rmtree(place.parent, ignore_errors=True)
        if not trials:
            raise RuntimeError(f"every recipe failed ({'; '.join(f'{n}: {r}' for n, r in failed.items())})")
        return trials, failed

    def _announce(self, job: Job) -> None:
        found = result_of(job)
        who = label(BASE) if job.recipe is None else f"{job.name.rpartition('-')[0]}, seed {job.seed}"
        score = found["metrics"][found["primary"]]
        value = "undefined" if score is None else f"{score:.3f}"
        cost = "" if "cost" not in found else f" ({found['cost']['steps']:,} steps, {found['cost']['seconds']:,.0f} s)"
        self.say(f"{who}: {found['primary']} {value}{cost}")

    def _log(self, name: str) -> Path:
        return self.folder.logs / f"{name}.log"


def _pace_of(configuration: Configuration) -> tuple[Any, ...]:
    """What the time of a step depends on."""
    costly = {key: str(value) for key, value in configuration.settings.items() if key not in _FREE}
    return configuration.recipe.name, configuration.model, configuration.variant, tuple(sorted(costly.items()))

"""A search over base models, recipes and options: successive halving on validation rows, and one measure at the end.

Which configuration is best is decided on validation rows alone. The evaluation rows are read once, by the finalists and
the base models, so that the scores reported on them were not chosen among many.

The cheapest model that does not differ significantly from the best is that with the least time to encode a text,
because texts are encoded for as long as a model is in use, and it is trained once. A recipe on a base model has one
time, the least of its runs; times of up to one and a half times the least of all are equal. Of these the model with the
fewest trained parameters is the cheapest (none for a base model, few for a LoRA), and of equally cheap ones the better.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nearfar.comparison.climbing import Climbed, climb
from nearfar.comparison.configurations import base_names, configurations
from nearfar.comparison.finished import Advice, finished, split_as_dict
from nearfar.comparison.fitting import base_kind
from nearfar.comparison.general import general_rows
from nearfar.comparison.jobs import Job, is_done, result_of, run_job
from nearfar.comparison.notes import notes_of
from nearfar.comparison.prepared import Prepared, evaluation_in, training_in, with_validation, write_rows
from nearfar.comparison.ranking import is_base, label, rank
from nearfar.comparison.result import Comparison, Failure
from nearfar.comparison.runner import Found
from nearfar.comparison.search_verdict import Choice, choose, same_times
from nearfar.errors import InputError
from nearfar.writing import full_disk_noticed

if TYPE_CHECKING:
    from nearfar.comparison.configurations import Configuration
    from nearfar.comparison.fitting import Fit
    from nearfar.comparison.folder import ComparisonFolder
    from nearfar.comparison.request import Request

__all__ = ["search"]

Results = dict[str, list[dict[str, Any]]]


def search(request: Request, folder: ComparisonFolder, prepared: Prepared, fitting: list[Fit]) -> Comparison:
    """Search and write the report.

    Args:
        request: The request, with only the compatible recipes.
        folder: Folder of the search, which this process has claimed.
        prepared: The rows, without validation rows.
        fitting: Which recipes are compatible, and last, whether the base models are.

    Raises:
        InputError: Validation rows or an option cannot be used, or the budget is too small; nothing has been trained.
        RuntimeError: Every configuration failed.
    """
    chosen = configurations(request, fitting[:-1])
    choosing, measuring = with_validation(prepared, request)
    bases = base_names(request.models) if fitting[-1].reason is None else {}
    started = time.monotonic()
    folder.claim(request.configuration((*measuring.sha256, choosing.sha256[1]), measuring.variant_hashes))
    with full_disk_noticed(folder.path):
        write_rows(choosing, folder.choosing)
        write_rows(measuring, folder.data)
        try:
            keep = general_rows(request, folder.data, base=bool(bases))
            before = _of_bases(request, replace(folder, rows=folder.choosing), choosing, bases, "validation-")
            climbed = climb(request, folder, choosing, chosen, started)
        except InputError:
            if not request.resume:
                folder.clear()  # nothing was trained, and the next call may use the same name
            raise
        request = replace(request, seeds=climbed.seeds)
        baseline = max(before, key=lambda name: _score(before[name])) if before else next(iter(climbed.results))
        finalists = same_times(climbed.results, {name: (each.recipe.name, each.model) for name, each in chosen.items()})
        climbed = replace(climbed, results=finalists)
        choice = choose(rank({**finalists, **before}, baseline), {**finalists, **before})
        found, failures = _measured(request, folder, measuring, climbed, chosen, keep)
        found |= _of_bases(request, folder, measuring, bases, "", keep)
        ran = Found(found, [*climbed.failures, *failures], climbed.budget)
        return _finish(request, folder, measuring, choosing, fitting, climbed, choice, ran, chosen)


def _of_bases(
    request: Request,
    folder: ComparisonFolder,
    rows: Prepared,
    bases: Mapping[str, str],
    prefix: str,
    keep: str | None = None,
) -> Results:
    """The results of the base models by their names."""
    found: Results = {}
    for model, name in bases.items():
        job = _evaluation(request, folder, rows, f"{prefix}{name.replace(' ', '-')}", model, None, keep)
        failed = None if is_done(job) else run_job(job, folder.logs)
        if failed is not None and failed.refused:
            raise InputError(f"{model} cannot be evaluated on these rows: {failed.reason}", field="--model")
        if failed is not None:
            log = folder.logs / f"{job.name}.log"
            raise RuntimeError(f"the evaluation of the {label(name)} failed: {failed.reason} (see {log})")
        found[name] = [result_of(job)]
        if prefix:
            request.say(f"{label(name)}: {found[name][0]['primary']} {_score(found[name]):.3f} on validation rows")
    return found


def _measured(
    request: Request,
    folder: ComparisonFolder,
    rows: Prepared,
    climbed: Climbed,
    chosen: Mapping[str, Configuration],
    keep: str | None,
) -> tuple[Results, list[Failure]]:
    """The finalists on the evaluation rows, with the costs of their runs."""
    found: Results = {}
    failures: list[Failure] = []
    for name, runs in climbed.results.items():
        measured = []
        for seed, run in enumerate(runs):
            model = climbed.folder.run(f"{name}-{seed}") / "model"
            job = _evaluation(request, folder, rows, f"{name}-{seed}", str(model.absolute()), chosen[name].model, keep)
            failed = None if is_done(job) else run_job(job, folder.logs)
            if failed is not None:
                failures.append(Failure(name, seed, failed.reason, folder.logs / f"{job.name}.log"))
                break
            kept = {key: run[key] for key in ("cost", "ms_per_text") if key in run}
            measured.append({**result_of(job), **kept, "seed": seed})
        else:
            found[name] = measured
    if not found:
        raise RuntimeError(f"no finalist could be evaluated; see {folder.logs}")
    return found, failures


def _evaluation(
    request: Request,
    folder: ComparisonFolder,
    rows: Prepared,
    name: str,
    model: str,
    base: str | None,
    keep: str | None,
) -> Job:
    learn = str(training_in(folder.data).absolute()) if rows.learn else None
    evaluation, result = str(evaluation_in(folder.data).absolute()), str(folder.result(name).absolute())
    run = str(folder.run(name).absolute())
    kind = base_kind(model, request.recipes) if base is None else None
    how: dict[str, Any] = {
        "base": base,
        "timed": base is None,
        "launcher": request.launcher,
        "keep": keep,
        "kind": kind,
    }
    return Job(name, None, model, "", evaluation, learn, run, result, 0, {}, **how)


def _score(runs: list[dict[str, Any]]) -> float:
    return runs[0]["metrics"][runs[0]["primary"]] or 0.0


def _finish(
    request: Request,
    folder: ComparisonFolder,
    rows: Prepared,
    choosing: Prepared,
    fitting: list[Fit],
    climbed: Climbed,
    choice: Choice,
    ran: Found,
    chosen: Mapping[str, Configuration],
) -> Comparison:
    from nearfar.comparison.search_page import search_page
    from nearfar.evaluation.result import metric_name

    found = ran.results
    baseline = choice.baseline if choice.baseline in found else next(iter(found))
    ranking = rank(found, baseline)
    sentence = choice.sentence(ranking, metric_name(next(iter(found.values()))[0]["primary"]))
    advice = Advice(sentence, choice.cheapest, _model_of(choice.cheapest, request, climbed.folder, found))
    more = {
        "winner": choice.winner,
        "cheapest": choice.cheapest,
        "validation": [row.as_dict() for row in choice.ranking],
        "rungs": climbed.rungs,
        "configurations": {name: _as_dict(each) for name, each in chosen.items()},
        "rows": {"validation": next(iter(climbed.results.values()))[0]["n"]},
        "validation_split": split_as_dict(choosing),
    }
    notes = [*_how(climbed), *notes_of(request, rows, fitting, found, [], baseline)]
    result = finished(request, folder, rows, fitting, ran, ranking, advice, notes, more)
    search_page(result, choice, request).write(folder.report)
    folder.write_metrics(result.metrics)
    return result


def _how(climbed: Climbed) -> list[str]:
    counts = " -> ".join(str(len(rung["scores"])) for rung in climbed.rungs)
    seeds = climbed.seeds
    return [
        f"Successive halving: {counts} configurations, one seed each but for {seeds} in the last rung, chosen on "
        "validation rows; the evaluation rows were read once."
    ]


def _as_dict(each: Configuration) -> dict[str, Any]:
    searched = {key: str(value) for key, value in each.searched.items()}
    variant = {"variant": each.variant} if each.variant else {}
    return {"recipe": each.recipe.name, **variant, "model": each.model, "options": searched}


def _model_of(name: str, request: Request, last: ComparisonFolder, found: Mapping[str, object]) -> str | None:
    if is_base(name):
        return next((model for model, of in base_names(request.models).items() if of == name), None)
    return str(last.run(f"{name}-0") / "model") if name in found else None

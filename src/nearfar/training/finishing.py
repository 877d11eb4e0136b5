"""The end of a run: its metrics, its page, and the model's card with its results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nearfar.training.card import model_card, write_card
from nearfar.training.forgetting import forgetting
from nearfar.training.kept import thin
from nearfar.training.result import Run, metrics_of, stage_metrics
from nearfar.training.rows import STREAM, together

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from nearfar.recipes import Recipe
    from nearfar.training.folder import RunFolder
    from nearfar.training.held_out import HeldOut
    from nearfar.training.measuring import Measured, Measuring
    from nearfar.training.request import Request
    from nearfar.training.stages import Prepared, Trained

__all__ = ["finished", "report", "rows_of_tasks"]


def finished(
    request: Request,
    folder: RunFolder,
    rows: Dataset | DatasetDict,
    measuring: Measuring,
    before: Measured,
    after: Measured,
    trained: Trained,
    followed: dict[str, Any] | None,
    peak: int | None,
) -> Run:
    """The finished run, with the contents of `metrics.json`."""
    from nearfar.data.overlap import seen_in_training
    from nearfar.evaluation.compared import paired_interval

    plan, held_out, general = measuring.ready.plan, measuring.held_out, measuring.general
    change = None
    if before.result is not None and after.result is not None:
        change = paired_interval(before.result, after.result, seed=request.seed)
    metrics = metrics_of(request.recipe.name, trained.steps, trained.log, before.result, after.result, change)
    metrics["drawn"] = trained.drawn
    if followed is not None:
        metrics["validation"] = followed
    if len(trained.stages) > 1:
        stages = [*trained.stages[:-1], (*trained.stages[-1][:2], after.result)]
        metrics |= stage_metrics(stages, before.result, _rows_held_out(request.recipe, rows, held_out, plan.count))
    if before.own is not None:
        metrics["measured"] = {"before": before.own, "after": after.own}
    metrics |= _with_known_speed(trained.facts, folder)
    if plan.finish is not None:
        metrics |= plan.finish(folder.path, None if held_out is None else held_out.rows)
    if held_out is not None:
        metrics["held_out_seen_in_training"] = seen_in_training(together(rows), held_out.rows)
    forgot = None
    if general is not None and before.general is not None and after.general is not None:
        forgot = forgetting(general, before.general, after.general, request.seed)
        metrics["general"] = forgot.as_dict()
    pair = None
    if before.similarities is not None and after.similarities is not None:
        pair = (before.similarities, after.similarities)
    model = measuring.ready.model.host
    return Run(folder.path, model, before.result, after.result, change, trained.log, pair, metrics, peak, forgot)


def report(
    request: Request,
    folder: RunFolder,
    ready: Prepared,
    configuration: dict[str, Any],
    run: Run,
    trained: Trained,
) -> None:
    """Write the page, the model's card with its results, and `metrics.json`, and remove what is not kept."""
    from nearfar.training.page import training_page

    training_page(run, configuration).write(folder.report)
    card = model_card(
        ready.model,
        request.recipe,
        configuration,
        steps=trained.steps,
        before=run.before,
        after=run.after,
        change=run.change,
        forgetting=run.forgetting,
    )
    write_card(folder.model, card)
    folder.write_json(folder.metrics, run.metrics)
    if not request.keep_checkpoints:
        thin([folder.checkpoints_of(number) for number in range(1, len(trained.stages) + 1)], folder.model)
    folder.record()


def rows_of_tasks(recipe: Recipe, rows: Dataset | DatasetDict, stages: int | None) -> list[int] | None:
    """Number of rows of each task of a stream, if each task is a stage."""
    if not isinstance(rows, dict) or recipe.roles != (STREAM,) or len(rows) != stages:
        return None
    return [len(part) for part in rows.values()]


def _rows_held_out(
    recipe: Recipe, rows: Dataset | DatasetDict, held_out: HeldOut | None, stages: int | None
) -> dict[str, int] | None:
    """Number of held-out rows of each task of a stream, if each task is a stage and has such rows."""
    if held_out is None or rows_of_tasks(recipe, rows, stages) is None or {*held_out.tasks} != {*map(str, rows)}:
        return None
    return {name: len(held_out.tasks[name]) for name in map(str, rows)}


def _with_known_speed(facts: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """The facts; if there were no steps left in this process, with the speed of earlier steps."""
    if facts.get("speed", {}).get("seconds") == 0 and folder.metrics.exists():
        return {**facts, "speed": json.loads(folder.metrics.read_text("utf-8"))["speed"]}
    return facts

"""What each recipe of a comparison forgets: the change from the base model on a general set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.comparison.ranking import BASE, label
from nearfar.comparison.significance import estimate
from nearfar.errors import InputError
from nearfar.evaluation.intervals import Interval
from nearfar.evaluation.result import metric_name
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.training.forgetting import BUILTIN, NONE, read_general

if TYPE_CHECKING:
    from nearfar.comparison.request import Request
    from nearfar.reports.page import Page

__all__ = ["add_general", "changes", "general_cell", "general_rows", "measured"]

FILE = "general"


def general_rows(request: Request, folder: Path, *, base: bool) -> str | None:
    """The general set as every run reads it: `builtin`, or a copy of the rows in `folder`; None for no set.

    Args:
        request: The request; without `keep`, the set is `builtin` if there is one base model and it encodes texts.
        folder: Folder of the rows of the comparison.
        base: Whether the base model is evaluated; without it there is nothing to compare with.

    Raises:
        InputError: The rows cannot be read, or the base model cannot be measured on them.
    """
    from datasets import Dataset

    from nearfar.data import write_retrieval
    from nearfar.kinds.loading import class_of
    from nearfar.models.abilities import Encodes
    from nearfar.writing import draft_of

    if isinstance(request.keep, str) and request.keep == NONE:
        return None
    if len(request.models) > 1:
        if request.keep is not None:
            problem = "what is forgotten is measured from one base model, got several"
            raise InputError(problem, field="--keep", remedy="remove --keep, or search with one base model")
        return None
    (model,) = request.models
    if request.keep is None:
        return BUILTIN if base and issubclass(class_of(model), Encodes) else None
    if not base:
        problem = "the base model is not evaluated, so no loss can be measured"
        raise InputError(problem, field="--keep", remedy="remove --keep")
    general = read_general(request.keep, skip_broken=request.skip_broken)
    general.check(class_of(model))
    if general.name == BUILTIN:
        return BUILTIN
    folder.mkdir(parents=True, exist_ok=True)
    if not isinstance(general.rows, Dataset):
        write_retrieval(general.rows, folder / FILE)
        return str((folder / FILE).absolute())
    with draft_of(folder / f"{FILE}.parquet") as draft:
        general.rows.to_parquet(str(draft))
    return str((folder / f"{FILE}.parquet").absolute())


def measured(model: Any, keep: str) -> dict[str, Any] | None:
    """The result of a model on the general set, with its values per item; None for models that only score pairs.

    Args:
        model: A model of `nearfar.kinds`.
        keep: As returned by `general_rows`.
    """
    from nearfar.evaluation.tasks import task_of
    from nearfar.models.abilities import Encodes

    general = read_general(keep)
    # Scoring every pair of a set would take longer than the training.
    if not isinstance(model, Encodes) and task_of(general.rows, model).name == "rerank":
        return None
    result = general.measure(model)
    items = result.per_item or {}
    names = ("similarity", "score") if result.task == "sts" else (result.primary,)
    if any(name not in items for name in names):
        problem = f"the task {result.task!r} has no value per item, so the loss has no interval"
        raise InputError(problem, field="--keep", remedy="use rows for another task, such as pairs")
    return {**result.as_dict(), "per_item": {name: items[name].tolist() for name in names}}


def changes(found: Mapping[str, Sequence[Mapping[str, Any]]], name: str) -> dict[str, Any] | None:
    """The change of each recipe from the base model on the general set, with its interval over seeds and items.

    Args:
        found: For each model the results of all seeds, as the worker writes them.
        name: Name of the general set.

    Returns:
        For `metrics.json`; None if the set was not measured.
    """
    import numpy as np

    of_all = {model: [run.get("general") for run in runs] for model, runs in found.items()}
    known = {model: [run for run in runs if run] for model, runs in of_all.items() if all(runs)}
    if BASE not in known:
        return None
    base = known[BASE][0]
    column = "similarity" if base["task"] == "sts" else base["primary"]
    known = {model: runs for model, runs in known.items() if runs[0]["primary"] == base["primary"]}
    values = {model: np.array([run["per_item"][column] for run in runs]) for model, runs in known.items()}
    scores = estimate(values, np.array(base["per_item"]["score"]) if base["task"] == "sts" else None)
    return {
        "rows": name,
        "items": base["n"],
        "metric": base["primary"],
        "base": base["metrics"][base["primary"]],
        "changes": {model: scores.difference(model, BASE)._asdict() for model in known if model != BASE},
    }


def general_cell(general: Mapping[str, Any], model: str) -> str:
    """The change of a model in a table: the mean and its interval."""
    if model not in general["changes"]:
        return ""
    mean, low, high = Interval(**general["changes"][model])
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def add_general(page: Page, general: Mapping[str, Any]) -> None:
    """What each recipe forgot, as a figure and a table."""
    metric, shown = metric_name(general["metric"]), general["changes"]
    of = "the pairs that come with nearfar" if general["rows"] == BUILTIN else general["rows"]
    page.section(
        "What was forgotten",
        f"The change from the base model ({metric} {general['base']:.3f}) on {general['items']:,} items of a general "
        f"set ({of}), whose rows have nothing to do with the training rows. It does not decide the ranking.",
    )
    if not shown:
        page.text("No recipe trained a model that can be measured on it.")
        return
    page.figure(
        dot_interval_chart(
            [label(model) for model in shown],
            {"change": [Estimate(each["mean"], each["low"], each["high"]) for each in shown.values()]},
            title="Change on the general set",
            x_label=f"change in {metric}",
            caption="95% intervals over seeds and items, paired by item. Below 0, something was forgotten.",
            reference=0.0,
        )
    )

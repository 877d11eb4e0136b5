"""The table of tasks: what each measures by, and which ability a model needs for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from nearfar.data.media import medium_in
from nearfar.errors import InputError
from nearfar.models.abilities import GIVES, Encodes, EncodesMedia, Predicts, Scores

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data.retrieval import Retrieval
    from nearfar.evaluation.result import Result

__all__ = ["TASKS", "Asked", "Task", "check_able", "columns_of", "task_of", "tasks_named"]


@dataclass(frozen=True)
class Asked:
    """How to measure.

    Args:
        train: Labelled rows that a classifier learns from; a part of the data when None.
        templates: Texts with {} for the label, for `zero-shot`.
        batch_size: Items in a forward pass.
        seed: Decides splits, classifiers and resampling.
        progress: Called with (items done, number of items), by tasks that take long.
    """

    train: Dataset | None = None
    templates: Sequence[str] | None = None
    batch_size: int = 64
    seed: int = 0
    progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Args:
        name: As `evaluate(task=...)` has it. Two tasks may share one, for other columns.
        needs: The ability that a model must have.
        columns: What the rows need; `file` stands for `image` or `audio`, `text|file` for either of these or `text`.
        module: Where `measure(model, data, asked)` is, imported when it is needed: tasks have heavy libraries.
        options: Which of `train`, `templates`, `sizes` (cut models) it takes.
        automatic: Chosen by the columns alone; otherwise only when asked for.
    """

    name: str
    needs: type
    columns: tuple[str, ...]
    module: str
    options: frozenset[str] = frozenset({"sizes"})
    automatic: bool = True

    def missing(self, columns: Sequence[str]) -> str | None:
        """The first column that rows lack; None where they fit."""
        has_file = medium_in(columns) is not None
        for column in self.columns:
            if column == "file" and not has_file:
                return "image"
            if column == "text|file" and not has_file and "text" not in columns:
                return "text"
            if column not in ("file", "text|file") and column not in columns:
                return column
        return None

    def measure(self, model: Any, data: Dataset | Retrieval, asked: Asked) -> Result:
        """Measure a model that has the ability, on data that fits."""
        return import_module(f"nearfar.evaluation.tasks.{self.module}").measure(model, data, asked)


_LEARNS = frozenset({"sizes", "train"})
_PROMPTS = frozenset({"templates"})

#: The first that fits data and model is chosen.
TASKS = (
    Task("sts", Scores, ("sentence1", "sentence2", "score"), "sts"),
    Task("ranking", Scores, ("query", "candidates", "scores"), "ranking"),
    Task("zero-shot", EncodesMedia, ("file", "label"), "zero_shot", _PROMPTS),
    Task("retrieval", EncodesMedia, ("file", "text"), "across", frozenset()),
    Task("retrieval", Encodes, ("anchor", "positive"), "retrieval"),
    Task("classify", Encodes, ("text|file", "label"), "classify", _LEARNS),
    Task("cluster", Encodes, ("text|file", "label"), "cluster", automatic=False),
    Task("zero-shot", Encodes, ("text", "label"), "zero_shot", _PROMPTS, automatic=False),
    Task("few-shot", Encodes, ("text|file", "label"), "few_shot", automatic=False),
    Task("perplexity", Predicts, ("anchor", "positive"), "perplexity", frozenset()),
    Task("perplexity", Predicts, ("text",), "perplexity", frozenset()),
)


def tasks_named(name: str) -> list[Task]:
    """The tasks of a name.

    Raises:
        InputError: there is none.
    """
    found = [task for task in TASKS if task.name == name]
    if not found:
        names = ", ".join(dict.fromkeys(task.name for task in TASKS))
        raise InputError(f"there is no task {name!r}", field="task", remedy=f"choose from {names}")
    return found


def task_of(data: Dataset | Retrieval, model: Any = None, name: str | None = None) -> Task:
    """The task that data allows, of a given name or of those that are chosen by columns alone.

    Args:
        data: Rows, or a BEIR-format dataset.
        model: One of `nearfar.kinds`, or its class: it must have the ability. None: any that encodes or scores.
        name: Of the task; None: the first that fits.

    Raises:
        InputError: the columns fit none, or the model lacks the ability.
    """
    candidates = tasks_named(name) if name is not None else [task for task in TASKS if task.automatic]
    columns = columns_of(data)
    fitting = [task for task in candidates if _fits(task, columns)]
    if model is None:
        fitting = [task for task in fitting if task.needs is not Predicts] if name is None else fitting
        able = fitting
    else:
        able = [task for task in fitting if _has(model, _needed(task, columns))]
        predicts = getattr(model, "predicts", None)
        able = [task for task in able if predicts is None or task.columns == predicts]
    if able:
        return able[0]
    if name is None:
        fitting = [task for task in fitting if task.needs is not Predicts]
    if fitting and model is not None:
        raise _unable(fitting[0], _needed(fitting[0], columns), model)
    raise _misfit(candidates, columns, name, model)


def check_able(name: str, model: Any) -> None:
    """Raise an InputError where a model, or its class, has the ability of no task of this name."""
    tasks = tasks_named(name)
    if not any(_has(model, task.needs) for task in tasks):
        raise _unable(tasks[0], tasks[0].needs, model)


def columns_of(data: Dataset | Retrieval) -> list[str] | None:
    """A dataset's columns, or None for a BEIR-format dataset, which has none."""
    from datasets import Dataset

    from nearfar.data.retrieval import Retrieval

    if isinstance(data, Retrieval):
        return None
    if isinstance(data, Dataset):
        return data.column_names
    got = type(data).__name__
    raise InputError(f"expected a datasets.Dataset (one split) or a Retrieval, got a {got}", remedy="pass one of these")


def _fits(task: Task, columns: list[str] | None) -> bool:
    if columns is None:
        return task.module == "retrieval"
    return task.missing(columns) is None


def _has(model: Any, ability: type) -> bool:
    return issubclass(model, ability) if isinstance(model, type) else isinstance(model, ability)


def _needed(task: Task, columns: list[str] | None) -> type:
    """The ability that a task needs for rows with these columns: of files, their vectors."""
    return EncodesMedia if "text|file" in task.columns and medium_in(columns or ()) else task.needs


def _unable(task: Task, needed: type, model: Any) -> InputError:
    can = ", ".join(dict.fromkeys(each.name for each in TASKS if _has(model, each.needs)))
    columns = ", ".join(task.columns).replace("text|file", "text").replace("file", "image")
    return InputError(
        f"{model.words} gives no {GIVES[needed]}, which the task {task.name!r} on {columns} needs",
        field="model",
        remedy=f"pass another model, or rows for one of its tasks: {can}",
    )


def _misfit(tasks: Sequence[Task], columns: list[str] | None, name: str | None, model: Any) -> InputError:
    here = ", ".join(columns) if columns else "a corpus and queries"
    if name is not None:
        missing = tasks[-1].missing(columns) if columns is not None else tasks[-1].columns[0]
        missing = "text" if missing == "text|file" else missing
        return InputError(
            f"the task {name!r} needs the column {missing!r}", remedy=f"the data has {here}; map with --columns"
        )
    known = "; ".join(
        f"{', '.join(task.columns)} ({task.name})"
        for task in tasks
        if (task.needs is not Predicts if model is None else _has(model, task.needs)) and "file" not in task.columns
    ).replace("text|file", "text")
    return InputError(f"the columns {here} fit no task", remedy=f"give {known}, or a BEIR-format dataset")

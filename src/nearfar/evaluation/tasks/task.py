"""The table of tasks: the columns that each needs, and the ability that a model needs for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from nearfar.data.media import medium_in
from nearfar.data.schemas import mapping_to
from nearfar.errors import InputError
from nearfar.models.abilities import (
    GIVES,
    Classifies,
    Conditions,
    Continues,
    Describes,
    Encodes,
    EncodesMedia,
    Predicts,
    Scores,
)

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data.retrieval import Retrieval
    from nearfar.evaluation.result import Result

__all__ = ["TASKS", "Asked", "Decoding", "Task", "check_able", "columns_of", "task_of", "tasks_named"]


@dataclass(frozen=True)
class Decoding:
    """A decoding method that scores continuations.

    Args:
        name: Its name, such as `lol`.
        settings: Its settings that differ from the defaults.
        amateur: The worse model, for methods that use one; see `nearfar.decoding.amateur.load_amateur`.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    amateur: str | None = None


@dataclass(frozen=True)
class Asked:
    """How to evaluate.

    Args:
        train: Labelled rows to train a classifier; by default, a part of the data.
        templates: Texts with {} for the label, for `zero-shot`.
        batch_size: Batch size.
        seed: Random seed of splits, classifiers and resampling.
        progress: Called with (items done, number of items), by slow tasks.
        first: The encoder of the first stage, for `rerank`: a model or a name; None: `minilm`.
        decoding: The decoding method to compare with the model alone, for `truthful`.
        shots: Rows of the data that stand before each image as examples, for `captions`.
    """

    train: Dataset | None = None
    templates: Sequence[str] | None = None
    batch_size: int = 64
    seed: int = 0
    progress: Callable[[int, int], None] | None = None
    first: Any = None
    decoding: Decoding | None = None
    shots: int = 0


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Args:
        name: Name for `evaluate(task=...)`. Two tasks for different columns may have the same name.
        needs: The ability that a model must have.
        columns: Required columns; `file` means `image` or `audio`, `text|file` means one of these or `text`.
        module: Module with `measure(model, data, asked)`, imported when needed because tasks import large libraries.
        options: Which of `train`, `templates`, `first`, `sizes` (truncated models), `decoding` it accepts.
        automatic: Whether the task is chosen by the columns; otherwise it must be requested by name.
        sided: Whether texts are queries and documents, with the prompts of these; otherwise texts are neither.
    """

    name: str
    needs: type
    columns: tuple[str, ...]
    module: str
    options: frozenset[str] = frozenset({"sizes"})
    automatic: bool = True
    sided: bool = False

    @property
    def sides(self) -> tuple[Literal["query", "document"] | None, ...]:
        """The kinds of texts that are encoded."""
        return ("query", "document") if self.sided else (None,)

    def missing(self, columns: Sequence[str]) -> str | None:
        """The first column that is missing; None if the rows fit."""
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
        """Evaluate a model that has the ability, on data with the required columns."""
        return import_module(f"nearfar.evaluation.tasks.{self.module}").measure(model, data, asked)


_LEARNS = frozenset({"sizes", "train"})
_PROMPTS = frozenset({"templates"})
_DECODES = frozenset({"decoding"})

#: Schemas that most evaluation rows have, of which the columns may have other names.
_USUAL = ("pairs", "scored pairs", "ranked lists", "labelled")
#: The abilities of language models, which are not meant where no model is named.
_LANGUAGE = (Predicts, Continues, Conditions, Describes)

#: The first task that fits data and model is chosen.
TASKS = (
    Task("sts", Scores, ("sentence1", "sentence2", "score"), "sts"),
    Task("ranking", Scores, ("query", "candidates", "scores"), "ranking", sided=True),
    Task("zero-shot", EncodesMedia, ("file", "label"), "zero_shot", _PROMPTS),
    Task("retrieval", EncodesMedia, ("file", "text"), "across", frozenset()),
    Task("captions", Describes, ("image", "text"), "captions", frozenset({"shots"}), automatic=False),
    Task("retrieval", Encodes, ("anchor", "positive"), "retrieval", sided=True),
    Task("rerank", Scores, ("anchor", "positive"), "reranking", frozenset({"first"}), sided=True),
    Task("classify", Encodes, ("text|file", "label"), "classify", _LEARNS),
    Task("classify", Classifies, ("text|file", "label"), "own_labels", frozenset()),
    Task("cluster", Encodes, ("text|file", "label"), "cluster", automatic=False),
    Task("zero-shot", Encodes, ("text", "label"), "zero_shot", _PROMPTS, automatic=False),
    Task("labels", Scores, ("text", "labels"), "labels", sided=True),
    Task("few-shot", Encodes, ("text|file", "label"), "few_shot", automatic=False),
    Task("answers", Conditions, ("question", "answer"), "answers", frozenset()),
    Task(
        "truthful",
        Continues,
        ("question", "best_answer", "correct_answers", "incorrect_answers"),
        "truthful",
        _DECODES,
    ),
    Task("truthful", Continues, ("prefix", "completion", "contradictions"), "truthful", _DECODES),
    Task("perplexity", Predicts, ("anchor", "positive"), "perplexity", frozenset()),
    Task("perplexity", Predicts, ("text",), "perplexity", frozenset()),
)


def tasks_named(name: str) -> list[Task]:
    """The tasks with this name.

    Raises:
        InputError: There is no such task.
    """
    found = [task for task in TASKS if task.name == name]
    if not found:
        names = ", ".join(dict.fromkeys(task.name for task in TASKS))
        raise InputError(f"unknown task {name!r}", field="task", remedy=f"choose from {names}")
    return found


def task_of(data: Dataset | Retrieval, model: Any = None, name: str | None = None) -> Task:
    """The task that fits the data: one with a given name, or one that is chosen by the columns.

    Args:
        data: Rows, or a BEIR-format dataset.
        model: A model of `nearfar.kinds`, or its class, which must have the ability. None: any that encodes or scores.
        name: Name of the task; by default the first that fits.

    Raises:
        InputError: The columns fit no task, or the model lacks the ability.
    """
    candidates = tasks_named(name) if name is not None else [task for task in TASKS if task.automatic]
    columns = columns_of(data)
    fitting = [task for task in candidates if _fits(task, columns)]
    if model is None:
        fitting = [task for task in fitting if task.needs not in _LANGUAGE] if name is None else fitting
        able = fitting
    else:
        able = [task for task in fitting if _has(model, _needed(task, columns))]
        able = [task for task in able if task.needs is not Predicts or task.columns in _predicted(model)]
    if able:
        return able[0]
    if name is None:
        fitting = [task for task in fitting if task.needs not in _LANGUAGE]
    if fitting and model is not None:
        raise _unable(fitting[0], _needed(fitting[0], columns), model)
    raise _misfit(candidates, columns, name, model)


def scores_pairs(name: str | None) -> bool:
    """Whether every task with this name scores pairs of texts, so that a causal language model is asked yes or no."""
    return name is not None and all(task.needs is Scores for task in tasks_named(name))


def check_able(name: str, model: Any) -> None:
    """Raise an InputError if a model, or its class, lacks the ability for all tasks with this name."""
    tasks = tasks_named(name)
    if not any(_has(model, task.needs) for task in tasks):
        raise _unable(tasks[0], tasks[0].needs, model)


def columns_of(data: Dataset | Retrieval) -> list[str] | None:
    """The columns of a dataset; None for a BEIR-format dataset."""
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
        return task.module in ("retrieval", "reranking")
    return task.missing(columns) is None


def _has(model: Any, ability: type) -> bool:
    return issubclass(model, ability) if isinstance(model, type) else isinstance(model, ability)


def _predicted(model: Any) -> tuple[tuple[str, ...], ...]:
    """The columns that a model, or its class, predicts, in the order of preference."""
    return (model.predicts, *model.predicts_also)


def _needed(task: Task, columns: list[str] | None) -> type:
    """The ability that a task needs for rows with these columns; for files, it is encoding them."""
    of_files = task.needs is Encodes and "text|file" in task.columns and medium_in(columns or ())
    return EncodesMedia if of_files else task.needs


def _unable(task: Task, needed: type, model: Any) -> InputError:
    can = ", ".join(dict.fromkeys(each.name for each in TASKS if _has(model, each.needs)))
    columns = ", ".join(task.columns).replace("text|file", "text").replace("file", "image")
    return InputError(
        f"{model.words} returns no {GIVES[needed]}, which the task {task.name!r} on {columns} requires",
        field="model",
        remedy=f"use another model, or rows for one of its tasks: {can}",
    )


def _misfit(tasks: Sequence[Task], columns: list[str] | None, name: str | None, model: Any) -> InputError:
    here = ", ".join(columns) if columns else "a corpus and queries"
    if name is not None:
        meant = max(reversed(tasks), key=lambda task: len({*task.columns} & {*(columns or ())}))
        missing = meant.missing(columns) if columns is not None else meant.columns[0]
        missing = "text" if missing == "text|file" else missing
        return InputError(
            f"the task {name!r} requires the column {missing!r}, got {here}", remedy="map the columns with --columns"
        )
    known = "; ".join(
        f"{', '.join(task.columns)} ({task.name})"
        for task in tasks
        if (task.needs not in _LANGUAGE if model is None else _has(model, task.needs)) and "file" not in task.columns
    ).replace("text|file", "text")
    mapping = mapping_to(columns, _USUAL) if columns and (model is None or not _has(model, Conditions)) else None
    remedy = f"use {known}, or a BEIR-format dataset" if mapping is None else f"map them with --columns {mapping}"
    return InputError(f"the columns {here} fit no task", remedy=remedy)

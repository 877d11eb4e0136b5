"""From a model and data to the task that measures it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.evaluation.tasks import TASKS as TABLE
from nearfar.evaluation.tasks import Asked, task_of, tasks_named

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data.retrieval import Retrieval
    from nearfar.evaluation.result import Result

__all__ = ["TASKS", "check_options", "check_task", "detect_task", "evaluate"]

#: Names of all tasks.
TASKS = tuple(dict.fromkeys(task.name for task in TABLE))


def evaluate(
    model: Any,
    data: str | Path | Dataset | Retrieval,
    task: str | None = None,
    *,
    train: Dataset | None = None,
    templates: Sequence[str] | None = None,
    batch_size: int = 64,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Measure a model on data, by the task that the data's columns allow and the model is able to.

    | task | data | primary metric |
    | --- | --- | --- |
    | `sts` | `sentence1`, `sentence2`, `score` | Spearman's correlation of the model's scores with those given |
    | `ranking` | `query`, `candidates`, `scores` | nDCG@10 of each query's own candidates |
    | `retrieval` | a `Retrieval`, or `anchor`, `positive` | nDCG@10 |
    | `retrieval` | `image` or `audio`, `text`, without `label` unless asked for | recall@1 of texts' files |
    | `classify` | `text`, `label` | accuracy of a logistic regression on frozen vectors |
    | `cluster` | `text`, `label`, only when asked for | v-measure of k-means |
    | `few-shot` | `text`, `label`, only when asked for | macro F1 of the closest of one example a label |
    | `zero-shot` | `image` or `audio`, `label`; `text`, `label` when asked for | accuracy of the closest prompt |
    | `perplexity` | documents, or `anchor`, `positive`, for a language model | mean log-probability of a token |

    Where rows with labels have `image` or `audio`, it is these that are classified and clustered.

    Args:
        model: A model of the host library (SentenceTransformer, CrossEncoder), one of `nearfar.kinds`, or a name that
            `nearfar.load` takes.
        data: What to measure on: rows, a BEIR-format dataset, or where to read them.
        task: One of `TASKS`; read off the columns when None.
        train: The labelled rows that `classify` may learn from; a part of `data` is split off when None.
        templates: Texts with {} for the label, of `zero-shot`; see `nearfar.evaluation.tasks.zero_shot.TEMPLATES`.
        batch_size: Texts in a forward pass.
        seed: Decides the split, the classifier and the starting centres.
        progress: Called with (items done, number of items), by tasks that take long.

    Raises:
        InputError: The columns fit no task or another one, the model lacks the ability, or the rows cannot be scored
            (one row, one class, constant scores, a label with a single text).
    """
    from nearfar.kinds.loading import class_of, load_kind, of

    if task is not None:
        check_task(task)
    # What can be known to be wrong is found before weights are read.
    kind = class_of(model) if isinstance(model, (str, Path)) else of(model)
    if isinstance(data, (str, Path)):
        from nearfar.evaluation.rows import load_for_evaluation

        data = load_for_evaluation(data, documents=getattr(kind, "predicts", None) == ("text",))
    chosen = task_of(data, kind, task)
    check_options(chosen.name, train=train, templates=templates)
    model = load_kind(model) if isinstance(model, (str, Path)) else kind
    started = time.perf_counter()
    result = chosen.measure(model, data, Asked(train, templates, batch_size, seed, progress))
    return replace(result, seconds=time.perf_counter() - started)


def check_task(task: str) -> None:
    """Raise an InputError unless `task` is one of `TASKS`."""
    tasks_named(task)


def check_options(task: str, **options: object) -> None:
    """Raise an InputError where an option was given that no task of this name takes.

    Args:
        task: Its name.
        **options: `train`, `templates`, `sizes`: the value, None where it was not given.
    """
    taken = frozenset[str]().union(*(each.options for each in tasks_named(task)))
    for name, value in options.items():
        if value is not None and name not in taken:
            raise InputError(f"the task {task!r} does not take it", field=name, remedy=f"remove {name}")


def detect_task(data: Dataset | Retrieval, model: Any = None) -> str:
    """The name of the task that data allows, for a model or for any that encodes.

    Raises:
        InputError: The columns fit none.
    """
    return task_of(data, model).name

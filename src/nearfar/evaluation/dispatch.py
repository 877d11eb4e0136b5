"""Chooses the evaluation task for a model and data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.evaluation.tasks import TASKS as TABLE
from nearfar.evaluation.tasks import Asked, Decoding, scores_pairs, task_of, tasks_named
from nearfar.models.prompts import prompts_of

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data.retrieval import Retrieval
    from nearfar.evaluation.result import Result

__all__ = ["TASKS", "check_options", "check_task", "detect_task", "evaluate", "reads_documents"]

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
    first: Any = None,
    decoding: Decoding | None = None,
    shots: int | None = None,
) -> Result:
    """Evaluate a model on data, with the task that fits the data's columns and the model's abilities.

    | task | data | primary metric |
    | --- | --- | --- |
    | `sts` | `sentence1`, `sentence2`, `score` | Spearman's correlation of the model's scores with the given ones |
    | `ranking` | `query`, `candidates`, `scores` | nDCG@10 of each query's own candidates |
    | `retrieval` | a `Retrieval`, or `anchor`, `positive` | nDCG@10 |
    | `rerank` | the same, for models that score pairs | nDCG@10 after a first stage, see `reranking` |
    | `retrieval` | `image` or `audio`, `text` (with `label` only on request) | recall@1 of the files of texts |
    | `classify` | `text`, `label` | accuracy of a logistic regression on frozen vectors |
    | `classify` | the same, for a classifier | accuracy of its own labels |
    | `cluster` | `text`, `label`, only on request | v-measure of k-means |
    | `labels` | `text`, `labels` | average precision over labels |
    | `few-shot` | `text`, `label`, only on request | macro F1 of the closest of one example per label |
    | `zero-shot` | `image` or `audio`, `label`; `text`, `label` on request | accuracy of the closest prompt |
    | `captions` | `image`, `text`, only on request, for a model that reads images | CIDEr of greedy captions |
    | `answers` | `question`, `answer`, for a language model | accuracy: equal texts, or numbers of equal value |
    | `truthful` | `question`, `best_answer`, `correct_answers`, `incorrect_answers`, for a language model | MC1 |
    | `truthful` | `prefix`, `completion`, `contradictions`, for a language model | accuracy |
    | `perplexity` | documents, or `anchor`, `positive`, for a language model | mean log-probability per token |

    If rows with labels have `image` or `audio`, the files are classified and clustered.

    Args:
        model: A model of the host library (SentenceTransformer, CrossEncoder), one of `nearfar.kinds`, or a name that
            for `nearfar.load`.
        data: Evaluation data: rows, a BEIR-format dataset, or the source of one.
        task: One of `TASKS`; by default chosen by the columns.
        train: Labelled rows to train the classifier of `classify`; by default, a part of `data` is split off.
        templates: Texts with {} for the label, for `zero-shot`; see `nearfar.evaluation.tasks.zero_shot.TEMPLATES`.
        batch_size: Batch size.
        seed: Random seed of the split, the classifier and the initial centres.
        progress: Called with (items done, number of items), by slow tasks.
        first: Encoder of the first stage of `rerank`: a model, or a name for `nearfar.load`; by default `minilm`.
        decoding: The decoding method that `truthful` compares with the model alone.
        shots: Number of examples before each image, for `captions`; None: none.

    Raises:
        InputError: The columns do not fit the task or any task, the model lacks the ability, or the rows cannot be
            scored (a single row or class, constant scores, a label with a single text).
    """
    from nearfar.kinds.loading import of

    if task is not None:
        check_task(task)
    find, load = loaders(task)
    # Check everything that can be checked before weights are loaded.
    kind = find(model) if isinstance(model, (str, Path)) else of(model)
    if isinstance(data, (str, Path)):
        from nearfar.evaluation.rows import load_for_evaluation

        data = load_for_evaluation(data, documents=reads_documents(kind, task))
    chosen = task_of(data, kind, task)
    check_options(chosen.name, train=train, templates=templates, decoding=decoding, first=first, shots=shots)
    model = load(model) if isinstance(model, (str, Path)) else kind
    started = time.perf_counter()
    result = chosen.measure(
        model, data, Asked(train, templates, batch_size, seed, progress, first, decoding, shots or 0)
    )
    seconds = time.perf_counter() - started
    return replace(result, seconds=seconds, prompts=prompts_of(model.prompting, chosen.sides) if model.prompted else {})


def loaders(task: str | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What finds the kind of a model by its name for a task, and what loads it."""
    from nearfar.kinds.loading import class_of, class_of_scorer, load_kind, load_scorer

    return (class_of_scorer, load_scorer) if scores_pairs(task) else (class_of, load_kind)


def reads_documents(kind: Any, task: str | None) -> bool:
    """Whether a task for a kind of model reads documents, including plain text."""
    return getattr(kind, "predicts", None) == ("text",) and task in (None, "perplexity")


def check_task(task: str) -> None:
    """Raise an InputError unless `task` is one of `TASKS`."""
    tasks_named(task)


def check_options(task: str, **options: object) -> None:
    """Raise an InputError if an option was given that no task of this name accepts.

    Args:
        task: Name of the task.
        **options: Values of `train`, `templates`, `first`, `sizes`, `decoding`, `shots`; None if not given.
    """
    taken = frozenset[str]().union(*(each.options for each in tasks_named(task)))
    for name, value in options.items():
        if value is not None and name not in taken:
            raise InputError(f"the task {task!r} does not accept this option", field=name, remedy=f"remove {name}")


def detect_task(data: Dataset | Retrieval, model: Any = None) -> str:
    """The name of the task that fits the data, for a given model or for any encoder.

    Raises:
        InputError: The columns fit no task.
    """
    return task_of(data, model).name

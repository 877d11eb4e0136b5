"""From a data set's columns to the task it can measure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data.media import medium_in
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data.retrieval import Retrieval
    from nearfar.evaluation.result import Result

TASKS = ("sts", "retrieval", "classify", "cluster", "zero-shot", "few-shot", "perplexity")

_COLUMNS = {
    "sts": ("sentence1", "sentence2", "score"),
    "retrieval": ("anchor", "positive"),
    "classify": ("text", "label"),
    "cluster": ("text", "label"),
    "zero-shot": ("text", "label"),
    "few-shot": ("text", "label"),
}
#: Blocks of tokens in one pass: each of them has a number for each word of the vocabulary.
_BLOCKS = 8
#: Only when asked for, of texts with labels.
_ASKED = ("cluster", "zero-shot", "few-shot")


def evaluate(
    model: SentenceTransformer | str | Path,
    data: str | Path | Dataset | Retrieval,
    task: str | None = None,
    *,
    train: Dataset | None = None,
    templates: Sequence[str] | None = None,
    batch_size: int = 64,
    seed: int = 0,
) -> Result:
    """Measure a model on data, by the task that the data's columns allow.

    | task | data | primary metric |
    | --- | --- | --- |
    | `sts` | `sentence1`, `sentence2`, `score` | Spearman's correlation of similarities with scores |
    | `retrieval` | a `Retrieval`, or `anchor`, `positive` | nDCG@10 |
    | `retrieval` | `image` or `audio`, `text`, without `label` unless asked for | recall@1 of texts' files |
    | `classify` | `text`, `label` | accuracy of a logistic regression on frozen vectors |
    | `cluster` | `text`, `label`, only when asked for | v-measure of k-means |
    | `few-shot` | `text`, `label`, only when asked for | macro F1 of the closest of one example a label |
    | `zero-shot` | `image` or `audio`, `label`; `text`, `label` when asked for | accuracy of the closest prompt |
    | `perplexity` | documents, for a language model, only when asked for | mean log-probability of a token |

    Where rows with labels have `image` or `audio`, it is these that are classified and clustered.

    Args:
        model: An encoder, or a name that `nearfar.models.load` takes; of `perplexity` a language model's name.
        data: What to measure on: rows, a retrieval set, or where to read them.
        task: One of `TASKS`; read off the columns when None.
        train: The labelled rows that `classify` may learn from; a part of `data` is split off when None.
        templates: Texts with {} for the label, of `zero-shot`; see `nearfar.evaluation.zero_shot.TEMPLATES`.
        batch_size: Texts a forward pass.
        seed: Decides the split, the classifier and the starting centres.

    Raises:
        InputError: The columns fit no task or another one, or the rows cannot be scored (one row, one class,
            constant scores, a label with a single text).
    """
    if task == "perplexity":
        return _perplexity(model, data, train, templates, batch_size, seed)
    if isinstance(data, (str, Path)):
        from nearfar.evaluation.rows import load_for_evaluation

        data = load_for_evaluation(data)
    task = task or detect_task(data)
    check_task(task)
    if train is not None and task != "classify":
        raise InputError(f"the task {task!r} does not learn, so it takes no training rows", field="train")
    if templates is not None and task != "zero-shot":
        raise InputError(f"the task {task!r} has no prompts", field="templates", remedy="leave them out")
    _check_columns(data, task)
    if isinstance(model, (str, Path)):
        from nearfar.models import load

        model = load(model)
    started = time.perf_counter()
    result = _measure(model, data, task, train=train, templates=templates, batch_size=batch_size, seed=seed)
    return replace(result, seconds=time.perf_counter() - started)


def _perplexity(model: object, data: object, train: object, templates: object, batch_size: int, seed: int) -> Result:
    from datasets import Dataset

    from nearfar.evaluation.perplexity import measure_perplexity

    for field, value in (("train", train), ("templates", templates)):
        if value is not None:
            raise InputError("the task 'perplexity' takes documents alone", field=field, remedy="leave it out")
    if not isinstance(model, (str, Path)) or not isinstance(data, (str, Path, Dataset)):
        problem = f"the perplexity of a {type(model).__name__} on a {type(data).__name__} cannot be measured"
        raise InputError(problem, remedy="give a language model's name, and documents")
    return measure_perplexity(model, data, batch_size=min(batch_size, _BLOCKS), seed=seed)


def check_task(task: str) -> None:
    """Raise an InputError unless `task` is one of `TASKS`."""
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}", field="task", remedy=f"choose one of {', '.join(TASKS)}")


def detect_task(data: Dataset | Retrieval) -> str:
    """The task that data allows: `sts`, `retrieval`, `classify`; `zero-shot` of pictures and recordings.

    Raises:
        InputError: The columns fit none.
    """
    columns = _columns(data)
    if columns is None:
        return "retrieval"
    if medium_in(columns) and "label" in columns:
        return "zero-shot"
    if medium_in(columns) and "text" in columns:
        return "retrieval"
    for task, needed in _COLUMNS.items():
        if set(needed) <= set(columns) and task not in _ASKED:
            return task
    schemas = "; ".join(f"{', '.join(needed)} ({task})" for task, needed in _COLUMNS.items() if task not in _ASKED)
    raise InputError(f"the columns {', '.join(columns)} fit no task", remedy=f"give {schemas}, or a retrieval folder")


def _columns(data: Dataset | Retrieval) -> list[str] | None:
    """A data set's columns, or None for a retrieval set, which has none."""
    from datasets import Dataset

    from nearfar.data.retrieval import Retrieval

    if isinstance(data, Retrieval):
        return None
    if isinstance(data, Dataset):
        return data.column_names
    raise InputError(
        f"a {type(data).__name__} cannot be measured on", remedy="pass a datasets.Dataset (one split) or a Retrieval"
    )


def _check_columns(data: Dataset | Retrieval, task: str) -> None:
    columns = _columns(data)
    if task == "retrieval" and (columns is None or (medium_in(columns) and "text" in columns)):
        return
    # Beside a label, a picture or recording is as good as a text.
    of_file = "label" in _COLUMNS[task] and medium_in(columns or ())
    missing = [name for name in _COLUMNS[task] if name not in (columns or ()) and not (of_file and name == "text")]
    if missing:
        raise InputError(
            f"the task {task!r} needs the column {missing[0]!r}",
            remedy=f"the data has {', '.join(columns) if columns else 'a corpus and queries'}; map with --columns",
        )


def _measure(
    model: SentenceTransformer,
    data: Dataset | Retrieval,
    task: str,
    *,
    train: Dataset | None,
    templates: Sequence[str] | None,
    batch_size: int,
    seed: int,
) -> Result:
    # Each task's libraries are imported with the task: the command line must not wait for all of them.
    from datasets import Dataset

    if task == "sts":
        from nearfar.evaluation.sts import measure_sts

        assert isinstance(data, Dataset)
        return measure_sts(model, data["sentence1"], data["sentence2"], data["score"], batch_size=batch_size)
    if task == "retrieval":
        from nearfar.evaluation.retrieval import from_pairs, measure_retrieval

        if isinstance(data, Dataset) and medium_in(data.column_names):
            from nearfar.evaluation.across import measure_across

            return measure_across(model, data, batch_size=batch_size, seed=seed)
        if isinstance(data, Dataset):
            corpus, queries, relevant = from_pairs(data["anchor"], data["positive"])
        else:
            corpus, queries, relevant = data.corpus, data.queries, data.relevant
        return measure_retrieval(model, corpus, queries, relevant, batch_size=batch_size)
    assert isinstance(data, Dataset)
    if task == "cluster":
        from nearfar.evaluation.cluster import measure_clusters

        return measure_clusters(model, data, batch_size=batch_size, seed=seed)
    if task == "few-shot":
        from nearfar.evaluation.few_shot import measure_few_shot

        return measure_few_shot(model, data, batch_size=batch_size, seed=seed)
    if task == "zero-shot":
        from nearfar.evaluation.zero_shot import measure_zero_shot

        return measure_zero_shot(model, data, templates=templates, batch_size=batch_size, seed=seed)
    from nearfar.evaluation.classify import measure_classes

    if train is None:
        from nearfar.evaluation.items import item_names
        from nearfar.evaluation.split import split_by_text

        learn, test = split_by_text(item_names(data), data["label"], seed=seed)
        train, data = data.select(learn), data.select(test)
    else:
        _check_columns(train, task)
    return measure_classes(model, train, data, batch_size=batch_size, seed=seed)

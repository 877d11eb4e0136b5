"""The evaluation data of a run: the user's rows, held-out documents, or several tasks of a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError, about
from nearfar.training.result import WRITTEN
from nearfar.training.rows import DOCUMENTS, by_task

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from nearfar.data import Retrieval
    from nearfar.evaluation import Result
    from nearfar.kinds.kind import Kind
    from nearfar.training.request import Request
    from nearfar.training.rows import Columns

__all__ = ["HeldOut", "read_held_out", "read_validation", "split_documents", "split_validation"]

#: Maximum number of held-out documents: more would make the evaluation slower, but not better.
MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class HeldOut:
    """Evaluation data.

    Args:
        rows: All rows.
        tasks: The rows of each task by name, which are evaluated separately: of rows with a column `task`, or of
            labelled rows for a classifier that learns a stream of tasks; else empty.
        columns: The mapping by which the rows were read: canonical column name -> name in the file.
        source: The source of the rows, for messages.
    """

    rows: Dataset | Retrieval
    tasks: Mapping[str, Dataset]
    columns: Mapping[str, str] | None = None
    source: str | None = None

    @property
    def size(self) -> int:
        """Number of rows; of a BEIR-format dataset, of queries."""
        rows: Any = self.rows
        return len(getattr(rows, "queries", rows))

    def by_labels_of(self, stream: Mapping[str, Dataset]) -> HeldOut:
        """Rows without tasks, divided into the tasks of a stream: a row belongs to the first task with its label.

        Raises:
            InputError: No task has the label of a row.
        """
        from datasets import Dataset

        if self.tasks or not isinstance(self.rows, Dataset) or "label" not in self.rows.column_names:
            return self
        task_of: dict[str, str] = {}
        for name, part in stream.items():
            for label in part["label"][:]:
                task_of.setdefault(str(label), str(name))
        places: dict[str, list[int]] = {str(name): [] for name in stream}
        for row, label in enumerate(self.rows["label"][:]):
            if str(label) not in task_of:
                problem = f"no task has rows with the label {label!r}"
                raise InputError(
                    problem, file=self.source, field="label", remedy="remove the rows, or add training rows"
                )
            places[task_of[str(label)]].append(row)
        return replace(self, tasks={name: self.rows.select(rows) for name, rows in places.items() if rows})

    def measure(self, model: Kind, seed: int) -> Result:
        """Evaluate a model on all rows, or on each task; then the mean over the tasks is the primary metric.

        Raises:
            InputError: The model cannot be evaluated on these rows.
        """
        from nearfar.evaluation import evaluate

        columns = getattr(self.rows, "column_names", ("corpus", "queries"))
        with about(self.source, columns), _own_option_named():
            if not self.tasks:
                return evaluate(model, self.rows, seed=seed)
            found = {name: evaluate(model, rows, seed=seed) for name, rows in self.tasks.items()}
        return averaged(found)


def averaged(results: Mapping[str, Result]) -> Result:
    """The results of several tasks as one: the mean of their primary metrics, and each of them by task name.

    Word error rates and SLU-F1 are kept by task, too.
    """
    first = next(iter(results.values()))
    scores = {f"{result.primary} of {name}": result.score for name, result in results.items()}
    primary = f"mean {first.primary}"
    metrics = {primary: sum(scores.values()) / len(scores), **scores}
    for written in WRITTEN:
        if all(written in result.metrics for result in results.values()):
            metrics |= {f"{written} of {name}": result.metrics[written] for name, result in results.items()}
    notes = tuple(dict.fromkeys(note for result in results.values() for note in result.notes))
    n = sum(result.n for result in results.values())
    of_items: dict[str, Any] = dict.fromkeys(("per_item", "interval", "differences", "ms_per_query", "chance"))
    return replace(first, primary=primary, metrics=metrics, n=n, notes=notes, **of_items)


def read_held_out(request: Request) -> HeldOut | None:
    """Read the evaluation rows; None if there are none.

    Args:
        request: The request of the run; a recipe that trains on documents is evaluated on documents.

    Raises:
        InputError: The rows cannot be read.
    """
    return None if request.evaluation is None else _read(request, request.evaluation)


def read_validation(request: Request, held_out: HeldOut | None) -> HeldOut | None:
    """Read the validation rows; None if there are none, or if they are a part of the training rows.

    Raises:
        InputError: The rows cannot be read, or are those that the result is reported on.
    """
    from nearfar.data.fingerprint import fingerprint

    if request.validation is None:
        return None
    found = _read(request, request.validation)
    if held_out is not None and fingerprint(found.rows) == fingerprint(held_out.rows):
        problem = "the validation rows are the evaluation rows, so the reported figures would be too good"
        raise InputError(problem, file=found.source, field="--validation", remedy="pass other rows, or remove it")
    return found


def split_validation(request: Request, rows: Dataset | DatasetDict) -> tuple[Dataset, HeldOut]:
    """Hold out some training rows as validation rows; rows that share a text stay together.

    Raises:
        InputError: There are several datasets, too few rows, or rows that cannot be evaluated.
    """
    from datasets import Dataset

    from nearfar.evaluation import detect_task
    from nearfar.evaluation.groups import split_by_groups

    share, remedy = request.options.validation_share, "pass validation rows with --validation"
    if not isinstance(rows, Dataset):
        problem = "of several datasets none is held out to choose a checkpoint"
        raise InputError(problem, field="--validation", remedy=remedy)
    if DOCUMENTS in request.recipe.schemas:
        training, held_out = split_documents(rows, share, request.seed)
        assert held_out is not None
        return training, HeldOut(held_out, {})
    try:
        detect_task(rows)
        split = split_by_groups(rows, share=share, seed=request.seed)
    except InputError as error:
        problem = f"the training rows cannot be split to choose a checkpoint: {error.problem}"
        raise InputError(problem, field="--validation", remedy=remedy) from error
    return rows.select(split.training), HeldOut(rows.select(split.held_out), {})


def _read(request: Request, data: Any) -> HeldOut:
    from datasets import Dataset

    documents = DOCUMENTS in request.recipe.schemas
    columns = _shared(request.columns)
    rows, mapped = read_rows(data, columns, request.evaluation_columns, request.skip_broken, documents=documents)
    source = str(data) if isinstance(data, str) else None
    tasks = by_task(rows) if isinstance(rows, Dataset) and "task" in rows.column_names else {}
    return HeldOut(rows, tasks, mapped, source)


def _shared(columns: Columns | Sequence[Columns | None] | None) -> Columns | None:
    """The mapping of all training datasets, where they have the same one."""
    if columns is None or isinstance(columns, Mapping):
        return columns
    first, *others = list(columns) or [None]
    return first if all(each == first for each in others) else None


def read_rows(
    source: Any,
    columns: Mapping[str, str] | None,
    own: Mapping[str, str] | None,
    skip_broken: bool = False,
    *,
    documents: bool = False,
) -> tuple[Dataset | Retrieval, Mapping[str, str] | None]:
    """The evaluation rows and their column mapping: their own, or that of the training rows if it fits."""
    with _own_option_named():
        return _read_rows(source, columns, own, skip_broken, documents)


@contextmanager
def _own_option_named() -> Iterator[None]:
    """Where a remedy maps columns, name the option for those of the evaluation rows."""
    try:
        yield
    except InputError as error:
        if "--columns" not in (error.remedy or ""):
            raise
        remedy = str(error.remedy).replace("--columns", "--eval-columns")
        raise InputError(error.problem, file=error.file, line=error.line, field=error.field, remedy=remedy) from error


def _read_rows(
    source: Any, columns: Columns | None, own: Columns | None, skip_broken: bool, documents: bool
) -> tuple[Dataset | Retrieval, Mapping[str, str] | None]:
    from nearfar.evaluation.rows import load_for_evaluation

    how: dict[str, Any] = {"skip_broken": skip_broken, "documents": documents}
    if own is not None or not columns:
        return load_for_evaluation(source, own, **how), own
    try:
        return load_for_evaluation(source, columns, **how), columns
    except InputError as error:
        if error.field != "columns":
            raise
        return load_for_evaluation(source, **how), None


def split_documents(rows: Dataset, part: float, seed: int) -> tuple[Dataset, Dataset | None]:
    """Split documents into training and held-out documents, both in the order of the data.

    Raises:
        InputError: There is only one document.
    """
    import numpy as np

    if not part:
        return rows, None
    if len(rows) < 2:
        raise InputError(
            "expected at least 2 rows or documents, one of them to hold out, got 1",
            field="held_out",
            remedy="separate documents by blank lines, pass --eval, or set held_out=0",
        )
    order = np.random.default_rng(seed).permutation(len(rows))
    count = min(max(1, int(part * len(rows))), MOST_HELD_OUT)
    return rows.select(np.sort(order[count:])), rows.select(np.sort(order[:count]))

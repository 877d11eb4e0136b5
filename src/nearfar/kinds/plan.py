"""A plan: a model and its training stages."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nearfar.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset, DatasetDict
    from torch import nn

    from nearfar.kinds.options import TrainingOptions

    Options = TypeVar("Options", bound=TrainingOptions)

__all__ = ["Batches", "Plan", "Rehearsal", "RowViews", "Stage", "staged_options"]

Batches = Literal["no_duplicates", "group_by_label", "shuffled"]


@dataclass(frozen=True)
class RowViews:
    """Columns that are made anew whenever a row is drawn, such as augmented images and texts.

    They are made in the processes that load batches (the option `workers`), which get both arguments by pickle where
    processes are not forked.

    Args:
        make: From a stored row and a random generator to the columns that the loss gets, in its order. The generator
            depends only on seed, epoch and row, so that a resumed run makes the same views.
        columns: These columns, each with the stored column that decides its tower and its prompt.
    """

    make: Callable[[Mapping[str, Any], random.Random], Mapping[str, Any]]
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Rehearsal:
    """Rows of a stage that fill a fixed share of every batch, such as examples of earlier tasks.

    Args:
        rows: Number of these rows; they are the last ones of the dataset. They take turns, so that each is drawn about
            equally often, more than once in an epoch if there are few.
        share: Their share of a batch, above 0 and below 1.
    """

    rows: int
    share: float


@dataclass(frozen=True)
class Stage:
    """The rows and the loss of a training stage, and how batches are drawn.

    Args:
        rows: A dataset whose columns are in the order that the loss expects, or several datasets by name. With several,
            all batches of one step are from one dataset, see `nearfar.kinds._sampling`.
        loss: A module. For sentence encoders and rerankers: a loss for the sentence-transformers trainer; with several
            datasets one for all, or one for each. For language models: called with the model and a batch, a mapping
            with a tensor or list for each column.
        batches: How rows are drawn: `"no_duplicates"` keeps a text from being its own negative, `"group_by_label"` puts
            at least two texts of each of at least two labels into a batch, `"shuffled"` does neither. With several
            datasets one for all, or one for each.
        name: Name of the stage in `metrics.json`; `stage N` if empty.
        batch_sizes: Batch size of each of several datasets; the option `batch_size` for datasets not named here.
        learning_rates: Factors of `learning_rate` for some parameters, by regular expressions that are searched in
            their names. Names of the model's parameters begin with `model.`; if there are several losses, all names
            begin with the dataset's name and a dot.
        settings: Options that differ in this stage. They cannot change how long the plan trains.
        views: What is made of a row whenever it is drawn; None: the row itself. For sentence encoders and models with
            two towers, with one dataset.
        rehearsal: The rows that fill a fixed share of every batch; only for one dataset and `batches="shuffled"`.
    """

    rows: Dataset | DatasetDict
    loss: nn.Module | Mapping[str, nn.Module]
    batches: Batches | Mapping[str, Batches] = "no_duplicates"
    name: str = ""
    batch_sizes: Mapping[str, int] | None = None
    learning_rates: Mapping[str, float] | None = None
    settings: Mapping[str, Any] | None = None
    views: RowViews | None = None
    rehearsal: Rehearsal | None = None

    def __post_init__(self) -> None:
        if self.views is not None and isinstance(self.rows, Mapping):
            raise ValueError("views are made of the rows of one dataset, got several")
        if self.rehearsal is None:
            return
        if self.batches != "shuffled":
            raise ValueError(f'a stage with rehearsal requires batches="shuffled", got {self.batches!r}')
        if not 0 < self.rehearsal.rows < len(self.rows) or not 0 < self.rehearsal.share < 1:
            raise ValueError(f"expected some of {len(self.rows)} rows and a share of a batch, got {self.rehearsal}")


@dataclass(frozen=True)
class Plan:
    """What a recipe's `prepare` returns.

    Args:
        model: The model to train, save and evaluate: a model of the host library (SentenceTransformer, CrossEncoder),
            or one of `nearfar.kinds`.
        stages: One stage, several, or a generator of them. Code after a `yield` runs when that stage has been trained;
            it must depend only on the model and the seed, so that a resumed run does the same.
        count: Number of stages that a generator yields.
        shares: How `max_steps` is shared among the stages, in proportion; None: equally.
        measure: Returns additional numbers by name for `metrics.json`, before and after training. Called with the model
            and the held-out data (None if there is none), in evaluation mode and without gradients.
        finish: Called with the run's folder and the held-out data after the model has been trained and saved; the
            returned values are added to the metrics.
        grows: The option that sets the number of stages, if the earlier stages stay the same when it grows; or
            `"stream"`, if a stage depends on no later task of a stream, so that tasks can be added to a finished run.
    """

    model: Any
    stages: Stage | Iterable[Stage]
    count: int | None = None
    shares: Sequence[float] | None = None
    measure: Callable[[Any, Any], Mapping[str, Any]] | None = None
    finish: Callable[[Path, Any], Mapping[str, Any]] | None = None
    grows: str | None = None

    def __post_init__(self) -> None:
        stages = (self.stages,) if isinstance(self.stages, Stage) else self.stages
        count = len(stages) if isinstance(stages, (list, tuple)) else self.count
        if count is None or count < 1:
            raise ValueError("a plan requires at least one stage, and `count` if its stages are a generator")
        if self.shares is not None and (len(self.shares) != count or not min(self.shares) > 0):
            raise ValueError(f"expected {count} positive shares, one for each stage, got {self.shares}")
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "count", count)

    def __iter__(self) -> Iterator[Stage]:
        """Iterate over the stages; possible only once for a generator."""
        assert not isinstance(self.stages, Stage)
        return iter(self.stages)


def staged_options(options: Options, plan: Plan) -> list[Options]:
    """The options of each stage: `max_steps` is shared among all stages, at least one step each.

    Of equal shares, the first ones take the remainder; with `Plan.shares`, the last one does.

    Raises:
        InputError: There are fewer steps than stages.
    """
    assert plan.count is not None
    if not options.max_steps:
        return [options] * plan.count
    if options.max_steps < plan.count:
        problem = f"invalid value {options.max_steps}: must be at least 1 for each of {plan.count} stages"
        raise InputError(problem, field="max_steps", remedy=f"use at least {plan.count}")
    if plan.shares is not None:
        whole = sum(plan.shares)
        steps = [max(1, int(options.max_steps * share / whole)) for share in plan.shares[:-1]]
        return [replace(options, max_steps=of_stage) for of_stage in (*steps, max(1, options.max_steps - sum(steps)))]
    each, more = divmod(options.max_steps, plan.count)
    return [replace(options, max_steps=each + (number < more)) for number in range(plan.count)]

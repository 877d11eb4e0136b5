"""A plan: a model, and the stages in which it is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nearfar.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset, DatasetDict
    from torch import nn

    from nearfar.kinds.options import TrainingOptions

    Options = TypeVar("Options", bound=TrainingOptions)

__all__ = ["Batches", "Plan", "Stage", "staged_options"]

Batches = Literal["no_duplicates", "group_by_label", "shuffled"]


@dataclass(frozen=True)
class Stage:
    """Rows and a loss, and how batches are drawn.

    Args:
        rows: Columns as the loss takes them, in its order; or several datasets by name. Then all batches of one step
            are of one dataset, see `nearfar.kinds._sampling`.
        loss: A module. Sentence encoders and rerankers: as sentence-transformers' trainer takes it; of several datasets
            one for all, or one for each. Language models: called with the model and a batch, a mapping with a tensor or
            list for each column.
        batches: How rows are drawn: `"no_duplicates"` keeps a text from being its own negative (and a score from being
            there twice), `"group_by_label"` puts at least two texts of a label into a batch, `"shuffled"` does neither.
            Of several datasets one for all, or one for each.
        name: Of the stage, for `metrics.json`; `stage N` when empty.
        batch_sizes: Rows in a batch of each of several datasets; `batch_size` of the options where one is not named.
        learning_rates: Factors of `learning_rate` for some parameters, by regular expressions that are searched in
            their names. Those of the model begin with `model.`; before all of them stands the dataset's name and a
            point where there are several losses.
        settings: Options that differ in this stage. How long the plan trains is not among them.
    """

    rows: Dataset | DatasetDict
    loss: nn.Module | Mapping[str, nn.Module]
    batches: Batches | Mapping[str, Batches] = "no_duplicates"
    name: str = ""
    batch_sizes: Mapping[str, int] | None = None
    learning_rates: Mapping[str, float] | None = None
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """What a recipe's `prepare` returns.

    Args:
        model: What is trained, saved and measured: a model of the host library (SentenceTransformer, CrossEncoder), or
            one of `nearfar.kinds`.
        stages: One stage, several, or a generator of them. What follows a `yield` runs once that stage has been
            trained; it must depend on nothing but the model and the seed, so that a resumed run does the same.
        count: How many stages a generator yields: `max_steps` is shared among them.
        measure: What `metrics.json` records beside the evaluation, before and after training: names and numbers.
            Called with the model and the held-out data, None without any, in evaluation mode and without gradients.
        finish: Called with the run's folder and the held-out data once the model is trained and saved; what it returns
            is added to the metrics.
        grows: The option that says how many stages there are, if those before stay the same when it grows.
    """

    model: Any
    stages: Stage | Iterable[Stage]
    count: int | None = None
    measure: Callable[[Any, Any], Mapping[str, Any]] | None = None
    finish: Callable[[Path, Any], Mapping[str, Any]] | None = None
    grows: str | None = None

    def __post_init__(self) -> None:
        stages = (self.stages,) if isinstance(self.stages, Stage) else self.stages
        count = len(stages) if isinstance(stages, (list, tuple)) else self.count
        if count is None or count < 1:
            raise ValueError("a plan needs at least one stage, and `count` where its stages are a generator")
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "count", count)

    def __iter__(self) -> Iterator[Stage]:
        """The stages, once."""
        assert not isinstance(self.stages, Stage)
        return iter(self.stages)


def staged_options(options: Options, plan: Plan) -> list[Options]:
    """The options of each stage: `max_steps` is shared among all stages, the first ones take what is left over.

    Raises:
        InputError: fewer steps than stages.
    """
    assert plan.count is not None
    if not options.max_steps:
        return [options] * plan.count
    if options.max_steps < plan.count:
        problem = f"{options.max_steps} steps cannot be shared among {plan.count} stages"
        raise InputError(problem, field="max_steps", remedy=f"use at least {plan.count}")
    each, more = divmod(options.max_steps, plan.count)
    return [replace(options, max_steps=each + (number < more)) for number in range(plan.count)]

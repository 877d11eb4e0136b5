"""What the prompts of a model are worth: the same data with and without them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.evaluation.compared import paired_interval
from nearfar.evaluation.dispatch import evaluate
from nearfar.models.prompts import without_prompts

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.data.retrieval import Retrieval
    from nearfar.evaluation.intervals import Interval
    from nearfar.evaluation.result import Result
    from nearfar.kinds.kind import Kind

__all__ = ["WithAndWithout", "evaluate_prompts", "prompted"]


@dataclass(frozen=True, eq=False)
class WithAndWithout:
    """The results of one model on the same data, with its prompts and without.

    Args:
        with_prompts: The result with the model's own prompts.
        without: The result without any prompt.
        difference: With minus without in the primary metric, with its paired 95% interval over items; None of a task
            without values per item.
    """

    with_prompts: Result
    without: Result
    difference: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """The result with prompts, and beside it the other one and the difference, for JSON."""
        difference = None if self.difference is None else self.difference._asdict()
        without = self.without.as_dict()
        return {**self.with_prompts.as_dict(), "without_prompts": without, "prompts_minus_none": difference}


def evaluate_prompts(
    model: Any, data: str | Path | Dataset | Retrieval, task: str | None = None, **options: Any
) -> WithAndWithout:
    """Evaluate a model twice, with its own prompts and without.

    Args:
        model: As for `nearfar.evaluate`.
        data: As for `nearfar.evaluate`.
        task: As for `nearfar.evaluate`.
        **options: Further arguments of `nearfar.evaluate`.

    Raises:
        InputError: As `evaluate`; or the model has no prompt for the texts of the task.
    """
    from nearfar.kinds.loading import load_kind, of

    loaded = load_kind(model) if isinstance(model, (str, Path)) else of(model)
    encoder = prompted(loaded)
    first = evaluate(loaded, data, task, **options)
    if not first.prompts:
        names = ", ".join(name for name, prompt in encoder.prompts.items() if prompt)
        problem = f"the task {first.task!r} uses no prompt of the model, which has {names}"
        raise InputError(problem, field="--prompts", remedy="remove --prompts")
    with without_prompts(encoder):
        second = evaluate(loaded, data, task, **options)
    return WithAndWithout(first, second, paired_interval(second, first, seed=options.get("seed", 0)))


def prompted(model: Kind) -> SentenceTransformer:
    """The text encoder of a model of `nearfar.kinds`, if it has prompts.

    Raises:
        InputError: It has none.
    """
    if not model.prompted or not any(model.prompting.prompts.values()):
        raise InputError("the model has no prompts", field="--prompts", remedy="remove --prompts")
    return model.prompting

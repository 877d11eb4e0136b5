"""What a training forgets: the change on a general set, whose rows have nothing to do with the training rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError, about
from nearfar.evaluation.chance import at_chance
from nearfar.evaluation.compared import paired_interval, score_interval
from nearfar.evaluation.result import at_ceiling, metric_name

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data import Retrieval
    from nearfar.evaluation import Interval, Result
    from nearfar.reports.page import Tone
    from nearfar.training.request import Request

__all__ = ["BUILTIN", "NONE", "Forgetting", "GeneralSet", "forgetting", "general_of", "measurable", "read_general"]

#: Values of `--keep` that are no files: the set that comes with the package, and no set.
BUILTIN, NONE = "builtin", "none"


@dataclass(frozen=True)
class GeneralSet:
    """Rows on which a model should stay as good as it was.

    Args:
        rows: Rows for one of the tasks of `nearfar.evaluate`, or a BEIR-format dataset.
        name: `builtin`, or the source of the rows.
    """

    rows: Dataset | Retrieval
    name: str

    def check(self, model: Any) -> None:
        """Check that a model can be measured on the rows, before it is trained.

        Raises:
            InputError: No task fits the rows and the model.
        """
        from nearfar.evaluation.tasks import task_of

        with self._named():
            task_of(self.rows, model)

    def measure(self, model: Any, seed: int = 0) -> Result:
        """Evaluate a model on all rows.

        Raises:
            InputError: The model cannot be evaluated on these rows.
        """
        from nearfar.evaluation import evaluate

        with self._named():
            return evaluate(model, self.rows, seed=seed)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            with about(self.name, getattr(self.rows, "column_names", ("corpus", "queries"))):
                yield
        except InputError as error:
            if "--columns" not in (error.remedy or ""):
                raise
            remedy = "rename the columns of the file; --keep has no mapping"
            raise InputError(error.problem, file=self.name, field="--keep", remedy=remedy) from error


def read_general(
    source: str | Path | Dataset | Retrieval, *, skip_broken: bool = False, documents: bool = False
) -> GeneralSet:
    """Read a general set: `builtin`, or anything that `nearfar.evaluate` reads.

    Args:
        source: `builtin` for the set that comes with the package, or a file, a folder, a Hub ID or data in memory.
        skip_broken, documents: See `nearfar.evaluation.rows.load_for_evaluation`.

    Raises:
        InputError: The rows cannot be read.
    """
    from nearfar.data.general import general_pairs
    from nearfar.evaluation.rows import load_for_evaluation

    if isinstance(source, str) and source == BUILTIN:
        return GeneralSet(general_pairs(), BUILTIN)
    rows = load_for_evaluation(source, skip_broken=skip_broken, documents=documents)
    return GeneralSet(rows, str(source) if isinstance(source, (str, Path)) else "in memory")


def general_of(request: Request) -> GeneralSet | None:
    """The general set of a run: the one that was asked for, or else, if the run is measured at all, the builtin one.

    Raises:
        InputError: The rows cannot be read.
    """
    from nearfar.training.rows import DOCUMENTS

    if request.keep is None:
        # A new model has nothing to forget.
        measured = request.evaluation is not None and not request.recipe.makes_model
        return read_general(BUILTIN) if measured else None
    if isinstance(request.keep, str) and request.keep == NONE:
        return None
    documents = DOCUMENTS in request.recipe.schemas
    return read_general(request.keep, skip_broken=request.skip_broken, documents=documents)


def measurable(general: GeneralSet | None, model: Any, *, asked: bool) -> GeneralSet | None:
    """The general set if a model can be measured on it; None if it cannot and nobody asked for it.

    Raises:
        InputError: It was asked for, and no task fits the rows and the model.
    """
    from nearfar.models.abilities import Encodes

    if general is None or (not asked and not isinstance(model, Encodes)):
        return None
    general.check(model)
    return general


@dataclass(frozen=True)
class Forgetting:
    """The change of a model on a general set.

    Args:
        name: `builtin`, or the source of the rows.
        before: Evaluation of the base model.
        after: Evaluation of the trained model.
        change: After minus before in the primary metric, with its paired interval; None if the task has none.
    """

    name: str
    before: Result
    after: Result
    change: Interval | None

    @property
    def rows(self) -> str:
        """The name of the set within a sentence."""
        return "the general set" if self.name == BUILTIN else Path(self.name).name

    def verdict(self) -> tuple[str, Tone]:
        """Whether something was forgotten, in one sentence, and the sentence's tone."""
        before, after, change = self.before, self.after, self.change
        metric, of = metric_name(before.primary), f"{before.n:,} items of {self.rows}"
        if before.chance is not None and at_chance(
            (score_interval(result) for result in (before, after)), before.chance, before.n
        ):
            scores = f"{before.score:.3f} before training and {after.score:.3f} after"
            return f"Nothing to forget: {metric} on {of} is {scores}, as good as guessing.", "neutral"
        if at_ceiling(before.score, after.score):
            return f"Nothing forgotten: {metric} on {of} is 1.000 before and after training.", "neutral"
        figures = (
            f"{metric} on {of} went from {before.score:.3f} to {after.score:.3f} ({after.score - before.score:+.3f}"
        )
        if change is None:
            return f"General quality: {figures}; this task has no interval).", "neutral"
        if change.degenerate:
            return f"Nothing forgotten: {figures}; all items changed by the same amount).", "neutral"
        figures += f", 95% interval {change.low:+.3f} to {change.high:+.3f})"
        if change.high < 0:
            return f"Forgotten: {figures}.", "bad"
        if change.low > 0:
            return f"Nothing forgotten: {figures}.", "good"
        return f"No significant loss: {figures}; the 95% interval includes 0.", "neutral"

    def as_dict(self) -> dict[str, Any]:
        """For `metrics.json`, without times: the same seed must give the same file."""
        before, after = (
            {key: value for key, value in result.as_dict().items() if key not in ("seconds", "ms_per_query")}
            for result in (self.before, self.after)
        )
        low, high = (None, None) if self.change is None else self.change[1:]
        defined = {"value": after["metrics"][self.after.primary], "base": before["metrics"][self.before.primary]}
        value = None if None in defined.values() else self.after.score - self.before.score
        difference = {"metric": self.before.primary, "value": value, "low": low, "high": high}
        return {"rows": self.name, "before": before, "after": after, "difference": difference}


def forgetting(general: GeneralSet, before: Result, after: Result, seed: int = 0) -> Forgetting:
    """The change between two evaluations on the same general set."""
    return Forgetting(general.name, before, after, paired_interval(before, after, seed=seed))

"""How many steps a whole plan takes, for its progress: later stages are made only when earlier ones are trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.kinds.plan import Stage

if TYPE_CHECKING:
    from nearfar.kinds.kind import Progress
    from nearfar.kinds.options import TrainingOptions
    from nearfar.kinds.plan import Plan

__all__ = ["PlanSteps"]


@dataclass(frozen=True)
class PlanSteps:
    """The steps of later stages, as far as they are known.

    With `max_steps` the steps of every stage are known. With `epochs` a stage has as many as its rows fill batches:
    known where the plan lists its stages, or where each stage is one task of a stream; otherwise later stages are taken
    to be as long as the current one.

    Args:
        plan: The plan.
        options: Options of each stage.
        own: The options of a stage with its own settings.
        rows: Number of rows of each stage, where they are known from elsewhere.
        by_rows: Whether `max_steps` stands for numbers of rows, see `train_stages`.
    """

    plan: Plan
    options: Sequence[TrainingOptions]
    own: Callable[[Stage, TrainingOptions], TrainingOptions]
    rows: Sequence[int] | None = None
    by_rows: bool = False

    def progress(self, progress: Progress, number: int, done: int) -> Progress:
        """Progress of stage `number` (from 1), after `done` steps of earlier stages, as that of the whole plan."""

        def update(step: int, of: int, loss: float | None) -> None:
            progress(done + step, done + of + self._after(number, of), loss)

        return update

    def _after(self, number: int, steps: int) -> int:
        """Steps of the stages after `number`, which has this many."""
        now, later = self.options[number - 1], self.options[number:]
        if now.max_steps and not self.by_rows:
            return sum(each.max_steps for each in later)
        lengths = [self._relative(each) for each in range(number - 1, len(self.options))]
        return sum(max(1, round(steps * length / lengths[0])) for length in lengths[1:])

    def _relative(self, index: int) -> float:
        """The length of a stage, in a unit that all stages share."""
        stages, options = self.plan.stages, self.options[index]
        if options.max_steps:
            return options.max_steps
        stage = stages[index] if isinstance(stages, (list, tuple)) else None
        options = options if stage is None else self.own(stage, options)
        if stage is not None and isinstance(stage.rows, dict):
            sizes = stage.batch_sizes or {}
            parts = [(len(rows), sizes.get(str(name), options.batch_size)) for name, rows in stage.rows.items()]
        elif stage is not None:
            parts = [(len(stage.rows), options.batch_size)]
        else:
            parts = [] if self.rows is None else [(self.rows[index], options.batch_size)]
        batches = sum(max(1, rows // size) for rows, size in parts) or 1
        return batches * options.epochs / options.gradient_accumulation

"""What a run measures before and after training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.evaluation import Result
    from nearfar.evaluation.similarity import PairSimilarity
    from nearfar.kinds.kind import Kind
    from nearfar.training.forgetting import GeneralSet
    from nearfar.training.held_out import HeldOut
    from nearfar.training.stages import Prepared

__all__ = ["Measured", "Measuring"]


@dataclass(frozen=True)
class Measured:
    """A model's measurements at one moment.

    Args:
        result: The evaluation on the held-out data; None without such data.
        own: What the plan measures in addition; None if it measures nothing.
        similarities: Cosines of held-out pairs; None if the held-out data is not pairs.
        general: The evaluation on the general set; None without one.
    """

    result: Result | None
    own: dict[str, Any] | None
    similarities: PairSimilarity | None
    general: Result | None


@dataclass(frozen=True)
class Measuring:
    """Measures the model of a run.

    Args:
        ready: The run's model and its plan.
        held_out: The held-out data.
        general: The general set.
        seed: Random seed of the evaluations.
    """

    ready: Prepared
    held_out: HeldOut | None
    general: GeneralSet | None
    seed: int

    def now(self) -> Measured:
        """The measurements of the model as it is now."""
        model = self.ready.model
        return Measured(
            None if self.held_out is None else self.held_out.measure(model, self.seed),
            self._own(),
            self._similarities(model),
            None if self.general is None else self.general.measure(model, self.seed),
        )

    def _own(self) -> dict[str, Any] | None:
        import torch

        measure = self.ready.plan.measure
        if measure is None:
            return None
        self.ready.model.module.eval()
        with torch.no_grad():
            return dict(measure(self.ready.model.host, None if self.held_out is None else self.held_out.rows))

    def _similarities(self, model: Kind) -> PairSimilarity | None:
        from datasets import Dataset

        from nearfar.evaluation.similarity import pair_similarity
        from nearfar.models.abilities import Encodes

        rows = None if self.held_out is None else self.held_out.rows
        if not isinstance(rows, Dataset) or not {"anchor", "positive"} <= set(rows.column_names):
            return None
        return pair_similarity(model.host, rows, seed=self.seed) if isinstance(model, Encodes) else None

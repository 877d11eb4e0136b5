"""What a fusion within a limit returns: the chosen weight, and the gain and loss at each weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.evaluation import Interval

__all__ = ["Choice", "Effect"]


@dataclass(frozen=True)
class Effect:
    """What a weight changes, compared with the base model.

    Args:
        weight: w.
        gain: On validation rows, with its paired 95% interval.
        kept: On the general set, with its paired 95% interval; a loss is negative.
    """

    weight: float
    gain: Interval
    kept: Interval

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"weight": self.weight, "gain": self.gain._asdict(), "kept": self.kept._asdict()}


@dataclass(frozen=True)
class Choice:
    """The chosen weight, and what it was chosen by.

    Args:
        weight: The chosen weight; None if none gains within the limit.
        limit: The largest loss on the general set.
        measured: All weights, on the items that chose.
        allowed: The weights within the limit.
        reported: The chosen weight and the weight 1, on the items that did not choose.
        metrics: The primary metrics of the validation rows and of the general set.
        items: Number of items: of validation rows that chose and that did not, and of the general set likewise.
    """

    weight: float | None
    limit: float
    measured: tuple[Effect, ...]
    allowed: tuple[float, ...]
    reported: Mapping[float, Effect]
    metrics: tuple[str, str]
    items: tuple[tuple[int, int], tuple[int, int]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "weight": self.weight,
            "limit": self.limit,
            "metrics": dict(zip(("gain", "kept"), self.metrics, strict=True)),
            "items": {
                name: {"choosing": chose, "reported": others}
                for name, (chose, others) in zip(("gain", "kept"), self.items, strict=True)
            },
            "measured": [{**each.as_dict(), "allowed": each.weight in self.allowed} for each in self.measured],
            "reported": [each.as_dict() for each in self.reported.values()],
        }

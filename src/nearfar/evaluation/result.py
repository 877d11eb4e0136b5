"""What one evaluation found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.evaluation.intervals import Interval


@dataclass(frozen=True, eq=False)
class Result:
    """What one evaluation found.

    Args:
        task: One of `nearfar.evaluation.TASKS`.
        primary: The metric to choose models by; a key of `metrics`.
        metrics: Every metric by name. Correlations and cosines lie in [-1, 1], most others in [0, 1];
            log-probabilities are in nats. Higher is better but for `perplexity`, and for few-shot's `between`.
        n: The queries, pairs, rows or blocks of tokens that were scored.
        seconds: What it took, encoding included.
        per_item: Values an item, in the data's order, for paired intervals. Under a metric's name: their mean is that
            metric. For `sts`, whose correlation is no mean: `similarity` and `score` of each pair. None for `cluster`
            and `few-shot`.
        notes: What a reader of the numbers must know, such as a metric that was left out.
        interval: The primary metric with its 95% interval over items, where the task gives one.
    """

    task: str
    primary: str
    metrics: dict[str, float]
    n: int
    seconds: float = 0.0
    per_item: dict[str, Float[np.ndarray, " n"]] | None = None
    notes: tuple[str, ...] = ()
    interval: Interval | None = None

    @property
    def score(self) -> float:
        """The primary metric's value."""
        return self.metrics[self.primary]

    @property
    def chance(self) -> float | None:
        """What guessing scores in the primary metric, where the task knows it."""
        return known_chance(self.task, self.metrics)

    def as_dict(self) -> dict[str, Any]:
        """All but the per-item values, for JSON; a metric that is undefined (NaN) becomes None."""
        return {
            "task": self.task,
            "primary": self.primary,
            "metrics": {name: None if isnan(value) else value for name, value in self.metrics.items()},
            "n": self.n,
            "seconds": self.seconds,
            "notes": list(self.notes),
            **({} if self.interval is None else {"interval_95": [self.interval.low, self.interval.high]}),
        }


#: From here on a score that cannot be above 1 is written 1.000.
CEILING = 0.9995


def at_ceiling(*scores: float) -> bool:
    """Whether nothing can be better than any of the scores; log-probabilities are never above 0."""
    return all(score >= CEILING for score in scores)


def known_chance(task: str, metrics: Mapping[str, float | None]) -> float | None:
    """The score of guessing, where a task knows it: always the commonest label, or no correlation."""
    return 0.0 if task == "sts" else metrics.get("chance")


NAMES = {
    "ndcg@10": "nDCG@10",
    "mrr@10": "MRR@10",
    "map@100": "MAP@100",
    "spearman": "Spearman's correlation",
    "pearson": "Pearson's correlation",
    "v_measure": "v-measure",
    "log_probability": "log-probability of a token",
}


def metric_name(metric: str) -> str:
    """A metric as people write it."""
    return NAMES.get(metric, metric.replace("_", " "))

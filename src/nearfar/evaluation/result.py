"""The result of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from nearfar.evaluation.chance import Chance
    from nearfar.evaluation.intervals import Interval


@dataclass(frozen=True, eq=False)
class Result:
    """The result of an evaluation.

    Args:
        task: One of `nearfar.evaluation.TASKS`.
        primary: The metric to choose models by; a key of `metrics`.
        metrics: All metrics by name. Correlations and cosines are in [-1, 1], most others in [0, 1];
            log-probabilities are in nats. Higher is better, except for `perplexity`, `wer` and the
            `between` of few-shot.
        n: Number of queries, pairs, rows or blocks of tokens that were scored.
        seconds: Time in seconds, including encoding.
        per_item: Values per item, in the order of the data, for paired intervals. The mean of the values under a
            metric's name is that metric. For `sts`, a correlation and not a mean: `similarity` and `score` of each
            pair. None for `cluster` and `few-shot`.
        notes: Notes for readers of the results, such as a metric that was omitted.
        interval: The primary metric with its 95% interval over items, if the task has one.
        differences: Paired differences with their 95% intervals over items, by name, if the task compares something.
        ms_per_query: Time per query in milliseconds, by name; the last is that of the primary metric. Not reproducible.
        chance: What guessing is expected to score in the primary metric; None where the data do not say.
        prompts: What the model put before queries, documents and other texts (`text`); empty where that is nothing.
    """

    task: str
    primary: str
    metrics: dict[str, float]
    n: int
    seconds: float = 0.0
    per_item: dict[str, Float[np.ndarray, " n"]] | None = None
    notes: tuple[str, ...] = ()
    interval: Interval | None = None
    differences: dict[str, Interval] | None = None
    ms_per_query: dict[str, float] | None = None
    chance: Chance | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The primary metric's value."""
        return self.metrics[self.primary]

    def as_dict(self) -> dict[str, Any]:
        """All fields except the per-item values, for JSON; an undefined metric (NaN) becomes None."""
        return {
            "task": self.task,
            "primary": self.primary,
            "metrics": {name: None if isnan(value) else value for name, value in self.metrics.items()},
            "n": self.n,
            "seconds": self.seconds,
            "notes": list(self.notes),
            **({} if self.interval is None else {"interval_95": [self.interval.low, self.interval.high]}),
            **(
                {}
                if self.differences is None
                else {"differences": {name: found._asdict() for name, found in self.differences.items()}}
            ),
            **({} if self.ms_per_query is None else {"ms_per_query": self.ms_per_query}),
            **({} if self.chance is None else {"chance": list(self.chance)}),
            **({"prompts": dict(self.prompts)} if self.prompts else {}),
        }


#: From here on a score that cannot be above 1 is written 1.000.
CEILING = 0.9995


def at_ceiling(*scores: float) -> bool:
    """Whether nothing can be better than any of the scores; log-probabilities are never above 0."""
    return all(score >= CEILING for score in scores)


NAMES = {
    "ndcg@10": "nDCG@10",
    "mrr@10": "MRR@10",
    "map@100": "MAP@100",
    "spearman": "Spearman's correlation",
    "pearson": "Pearson's correlation",
    "v_measure": "v-measure",
    "wer": "word error rate",
    "slu_f1": "SLU-F1 of slots",
    "log_probability": "log-probability per token",
}


def metric_name(metric: str) -> str:
    """The usual name of a metric."""
    return NAMES.get(metric, metric.replace("_", " "))

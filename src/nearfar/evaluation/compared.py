"""The intervals of a result, and of the difference between two results on the same items."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nearfar.evaluation.intervals import Interval, bootstrap_mean, paired_correlation_difference, paired_difference
from nearfar.evaluation.result import Result


def score_interval(result: Result) -> Interval | None:
    """The primary metric with its 95% interval over items; None without values per item, or if it is undefined.

    The interval of a correlation is that of Bonett and Wright 2000, Sample size requirements for estimating Pearson,
    Kendall and Spearman correlations.
    """
    if math.isnan(result.score):
        return None
    if result.interval is not None:
        return result.interval
    if result.task == "sts":
        if result.n < 4:
            return Interval(result.score, -1.0, 1.0)
        if abs(result.score) > 1 - 1e-12:
            return Interval(result.score, result.score, result.score)
        centre, half = math.atanh(result.score), 1.96 * math.sqrt((1 + result.score**2 / 2) / (result.n - 3))
        return Interval(result.score, math.tanh(centre - half), math.tanh(centre + half))
    if result.per_item is None or result.primary not in result.per_item or result.n < 2:
        return None
    return bootstrap_mean(result.per_item[result.primary])


def paired_interval(
    before: Result, after: Result, *, seed: int = 0, groups: Sequence[Any] | None = None
) -> Interval | None:
    """After minus before in the primary metric, with its paired 95% interval; None if there are no per-item values.

    Args:
        before: The result of one model.
        after: The result of the other model on the same data.
        seed: Random seed of the resampling.
        groups: The group of each item, if items of a group are similar.
    """
    if before.per_item is None or after.per_item is None or before.n != after.n or before.n < 3:
        return None
    if not (math.isfinite(before.score) and math.isfinite(after.score)):
        return None  # the correlation of constant similarities is undefined
    if before.task == "sts":
        items, others = before.per_item, after.per_item
        return paired_correlation_difference(items["similarity"], others["similarity"], items["score"], seed=seed)
    if before.primary not in before.per_item:
        return None
    return paired_difference(before.per_item[before.primary], after.per_item[before.primary], seed=seed, groups=groups)

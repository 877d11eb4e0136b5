"""The difference between two results on the same items, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nearfar.evaluation.intervals import Interval, paired_correlation_difference, paired_difference
from nearfar.evaluation.result import Result


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

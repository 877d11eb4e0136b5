"""Differences between two models on the same items, with confidence intervals."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.evaluation.intervals import Interval, paired_correlation_difference, paired_difference

if TYPE_CHECKING:
    from nearfar.inspection.result import Inspection

#: Means over positive pairs, of which an item may have several: resampled by item.
_BY_PAIR = ("alignment", "positive_cosine", "negative_cosine", "separation")


def differences(first: Inspection, second: Inspection, seed: int = 0) -> dict[str, Interval]:
    """The second model's measures minus the first's, with paired 95% intervals over items.

    Only measures that are means or correlations over items have such an interval. Others (uniformity, isotropy, rank,
    hubness) describe the whole set, and have no value for a single item to resample.

    Args:
        first, second: Inspections of the same sample.
        seed: Random seed of the resampling.
    """
    found: dict[str, Interval] = {}
    for name in first.per_item:
        if name in second.per_item:
            groups: Any = first.groups if name in _BY_PAIR else None
            interval = _interval(first.per_item[name], second.per_item[name], groups, seed)
            if interval is not None:
                found[name] = interval
    if first.scored is not None and second.scored is not None:
        # Too few scores, or equal cosines: there is no correlation to compare.
        with suppress(InputError):
            found["spearman"] = paired_correlation_difference(
                first.scored[0], second.scored[0], first.scored[1], seed=seed
            )
    return found


def _interval(before: Any, after: Any, groups: Any, seed: int) -> Interval | None:
    import numpy as np

    if len(before) < 3 or (groups is not None and len(np.unique(groups)) < 2):
        return None
    return paired_difference(before, after, seed=seed, groups=groups)

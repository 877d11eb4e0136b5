"""Bootstrap intervals: how far a figure would move with other items of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

# Numbers drawn at once: bounds a resampling to some 32 MiB an array.
_AT_ONCE = 2**22


class Interval(NamedTuple):
    """An estimate with its two bounds."""

    mean: float
    low: float
    high: float

    @property
    def degenerate(self) -> bool:
        """Whether the interval has no width: all items agree, so they say nothing on how much others would vary."""
        return self.high - self.low <= 1e-12 * max(1.0, abs(self.mean))

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(
    values: Float[np.ndarray, " n"] | Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
) -> Interval:
    """The mean of values with its percentile bootstrap interval.

    Args:
        values: One value an item.
        level: The interval's coverage, in (0, 1).
        resamples: How often to draw.
        seed: Decides the draws.
        groups: The group of each item, where items of a group are alike (queries on one module, turns of one dialogue).
            Whole groups are then drawn, which widens the interval to what the data supports.

    Returns:
        Mean, lower and upper bound. Where all values are equal, an interval without width: see `Interval.degenerate`.

    Raises:
        InputError: Fewer than two values or groups, a value that is NaN or infinite, or unequal lengths.
    """
    import numpy as np

    values = _vector(values, "values")
    if groups is None:
        return _bootstrap((values,), lambda x, axis: np.mean(x, axis=axis), level, resamples, seed)
    if len(groups) != len(values):
        raise InputError(f"there are {len(groups)} groups for {len(values)} values", field="groups")
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums, sizes = np.bincount(index, weights=values), np.bincount(index).astype(np.float64)
    if len(sums) < 2:
        raise InputError(
            "all values belong to one group, so nothing shows how groups differ",
            field="groups",
            remedy="measure on at least 2 groups, or give none to draw single items",
        )
    return _bootstrap((sums, sizes), _ratio_of_sums, level, resamples, seed)


def paired_difference(
    before: Float[np.ndarray, " n"] | Sequence[float],
    after: Float[np.ndarray, " n"] | Sequence[float],
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
) -> Interval:
    """The mean of after - before over the same items, with its interval; options as for `bootstrap_mean`.

    Raises:
        InputError: Unequal lengths, and whatever `bootstrap_mean` refuses.
    """
    first, second = _vector(before, "before"), _vector(after, "after")
    if len(first) != len(second):
        raise InputError(
            f"{len(first)} values before and {len(second)} after are no pairs", remedy="score the same items twice"
        )
    return bootstrap_mean(second - first, level=level, resamples=resamples, seed=seed, groups=groups)


def paired_correlation_difference(
    before: Float[np.ndarray, " n"] | Sequence[float],
    after: Float[np.ndarray, " n"] | Sequence[float],
    gold: Float[np.ndarray, " n"] | Sequence[float],
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Interval:
    """Spearman(after, gold) - Spearman(before, gold) with its interval, all three drawn together.

    Args:
        before: One model's similarity of each pair.
        after: The other model's similarity of the same pairs.
        gold: The pairs' scores.
        level: The interval's coverage, in (0, 1).
        resamples: How often to draw; each draw ranks anew, hence fewer than elsewhere.
        seed: Decides the draws.

    Raises:
        InputError: Unequal lengths, fewer than three pairs, or an argument that is constant and so ranks nothing.
    """
    import numpy as np

    data = tuple(_vector(x, name) for x, name in ((before, "before"), (after, "after"), (gold, "gold")))
    if len({len(x) for x in data}) > 1:
        raise InputError(f"lengths {', '.join(str(len(x)) for x in data)} are no pairs", remedy="score the same pairs")
    if len(data[0]) < 3:
        raise InputError(f"a correlation needs at least 3 pairs, and there are {len(data[0])}")
    for x, name in zip(data, ("before", "after", "gold"), strict=True):
        if not np.ptp(x):
            raise InputError("every value is the same, so nothing is ranked and no correlation exists", field=name)

    def statistic(first: np.ndarray, second: np.ndarray, scores: np.ndarray, axis: int) -> np.ndarray:
        return _spearman(second, scores, axis) - _spearman(first, scores, axis)

    return _bootstrap(data, statistic, level, resamples, seed)


def _bootstrap(
    data: tuple[np.ndarray, ...], statistic: Callable[..., Any], level: float, resamples: int, seed: int
) -> Interval:
    import numpy as np
    from scipy.stats import bootstrap

    if not 0 < level < 1:
        raise InputError(f"{level} is no coverage", field="level", remedy="give a number between 0 and 1, such as 0.95")
    if resamples < 100:
        raise InputError(
            f"{resamples} resamples are too few for a bound", field="resamples", remedy="give at least 100"
        )
    estimate = float(statistic(*data, axis=-1))
    found = bootstrap(
        data,
        statistic,
        n_resamples=resamples,
        batch=max(1, _AT_ONCE // len(data[0])),
        vectorized=True,
        paired=True,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return Interval(estimate, float(found.confidence_interval.low), float(found.confidence_interval.high))


def _ratio_of_sums(sums: np.ndarray, sizes: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / sizes.sum(axis=axis)


def _spearman(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """Pearson's correlation of the ranks; NaN never: a draw of equal items ranks nothing and counts as 0."""
    import numpy as np
    from scipy.stats import rankdata

    x, y = rankdata(x, axis=axis), rankdata(y, axis=axis)
    x, y = x - x.mean(axis=axis, keepdims=True), y - y.mean(axis=axis, keepdims=True)
    scale = np.sqrt((x * x).sum(axis=axis) * (y * y).sum(axis=axis))
    return np.where(scale > 0, (x * y).sum(axis=axis) / np.where(scale > 0, scale, 1), 0.0)


def _vector(values: Any, name: str) -> np.ndarray:
    import numpy as np

    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or len(vector) < 2:
        raise InputError(f"an interval needs a list of at least 2 values, got shape {vector.shape}", field=name)
    if not np.isfinite(vector).all():
        raise InputError("a value is NaN or infinite", field=name)
    return vector

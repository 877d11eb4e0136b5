"""Bootstrap intervals: how much a value would vary with other items of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfar.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

# Numbers drawn at a time: limits an array of a resampling to about 32 MiB.
_AT_ONCE = 2**22


class Interval(NamedTuple):
    """An estimate with its two bounds."""

    mean: float
    low: float
    high: float

    @property
    def degenerate(self) -> bool:
        """Whether the interval has no width because all items are equal, so that the variation is unknown."""
        return self.high - self.low <= 1e-12 * max(1.0, abs(self.mean))

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside the interval."""
        return self.low > 0 or self.high < 0


def bootstrap_mean(
    values: Float[np.ndarray, " n"] | Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    groups: Sequence[Any] | np.ndarray | None = None,
) -> Interval:
    """The mean of values, with its percentile bootstrap interval.

    Args:
        values: One value per item.
        level: Confidence level, in (0, 1).
        resamples: Number of resamples.
        seed: Random seed of the resampling.
        groups: The group of each item, if items of a group are similar (queries on one module, turns of one dialogue).
            Then whole groups are drawn, which gives a wider and more honest interval.

    Returns:
        Mean, lower and upper bound. If all values are equal, the interval has no width: see `Interval.degenerate`.

    Raises:
        InputError: There are fewer than two values or groups, a value is NaN or infinite, or lengths differ.
    """
    import numpy as np

    values = _vector(values, "values")
    if groups is None:
        return _bootstrap((values,), lambda x, axis: np.mean(x, axis=axis), level, resamples, seed)
    if len(groups) != len(values):
        raise InputError(f"expected {len(values)} groups, one per value, got {len(groups)}", field="groups")
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums, sizes = np.bincount(index, weights=values), np.bincount(index).astype(np.float64)
    if len(sums) < 2:
        raise InputError(
            "expected at least 2 groups, got 1",
            field="groups",
            remedy="use at least 2 groups, or no groups to draw single items",
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
    """The mean of after - before over the same items, with its interval; for the options see `bootstrap_mean`.

    Raises:
        InputError: Lengths differ, or the values are invalid for `bootstrap_mean`.
    """
    first, second = _vector(before, "before"), _vector(after, "after")
    if len(first) != len(second):
        raise InputError(
            f"expected {len(first)} values after, as before, got {len(second)}", remedy="score the same items twice"
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
    """Spearman(after, gold) - Spearman(before, gold) with its interval; all three are resampled together.

    Args:
        before: Similarity of each pair by one model.
        after: Similarity of the same pairs by the other model.
        gold: Gold score of each pair.
        level: Confidence level, in (0, 1).
        resamples: Number of resamples; the default is smaller than elsewhere, because each of them must be ranked.
        seed: Random seed of the resampling.

    Raises:
        InputError: Lengths differ, there are fewer than three pairs, or an argument is constant.
    """
    import numpy as np

    data = tuple(_vector(x, name) for x, name in ((before, "before"), (after, "after"), (gold, "gold")))
    if len({len(x) for x in data}) > 1:
        lengths = ", ".join(str(len(x)) for x in data)
        raise InputError(f"expected equal lengths, got {lengths}", remedy="score the same pairs")
    if len(data[0]) < 3:
        raise InputError(f"expected at least 3 pairs for a correlation, got {len(data[0])}")
    for x, name in zip(data, ("before", "after", "gold"), strict=True):
        if not np.ptp(x):
            raise InputError("all values are equal, so the correlation is undefined", field=name)

    def statistic(first: np.ndarray, second: np.ndarray, scores: np.ndarray, axis: int) -> np.ndarray:
        return _spearman(second, scores, axis) - _spearman(first, scores, axis)

    return _bootstrap(data, statistic, level, resamples, seed)


def _bootstrap(
    data: tuple[np.ndarray, ...], statistic: Callable[..., Any], level: float, resamples: int, seed: int
) -> Interval:
    import numpy as np
    from scipy.stats import bootstrap

    if not 0 < level < 1:
        raise InputError(f"invalid value {level}: must be between 0 and 1", field="level", remedy="use e.g. 0.95")
    if resamples < 100:
        raise InputError(
            f"expected at least 100 resamples, got {resamples}",
            field="resamples",
            remedy="use e.g. 2000",
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
    """Pearson's correlation of the ranks; 0, not NaN, for a draw of equal items."""
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
        raise InputError(f"expected a list of at least 2 values, got shape {vector.shape}", field=name)
    if not np.isfinite(vector).all():
        raise InputError("expected finite values, got NaN or infinity", field=name)
    return vector

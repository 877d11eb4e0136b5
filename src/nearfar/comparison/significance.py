"""Means over seeds and items with intervals, differences between models, and a correction for multiple comparisons.

A result varies because the items are a sample, and because training is random. The first variance comes from a
bootstrap over items, with the same draws for all models; the second is the variance between seeds. Differences between
models are paired by item and by seed. The two variances are added, and the sum has the degrees of freedom of Welch and
Satterthwaite: with few seeds, an interval is wide if seeds differ, and hardly wider if most variance is due to the
items.

Welch 1947, The generalization of Student's problem when several different population variances are involved;
Satterthwaite 1946, An approximate distribution of estimates of variance components;
Holm 1979, A simple sequentially rejective multiple test procedure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.evaluation.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

RESAMPLES, RESAMPLES_RANKED = 4_000, 2_000
#: Maximum number of values in memory during resampling.
_AT_ONCE = 2**23


@dataclass(frozen=True, eq=False)
class Resampled:
    """The means of all models, for each seed and for resampled items.

    Args:
        names: Names of the models.
        by_seed: Mean over items, for each model and seed.
        draws: Mean over seeds in each draw of items; all models have the same draws.
        items: Number of items.
    """

    names: tuple[str, ...]
    by_seed: Float[np.ndarray, "models seeds"]
    draws: Float[np.ndarray, "resamples models"]
    items: int

    def mean(self, name: str) -> Interval:
        """A model's mean over seeds and items with its 95% interval."""
        return self._estimate(name, None)[0]

    def difference(self, name: str, other: str) -> Interval:
        """`name` minus `other`, paired by seed and item, with its 95% interval."""
        return self._estimate(name, other)[0]

    def p_value(self, name: str, other: str) -> float:
        """The two-sided p-value of no difference; 1 if all items and seeds agree, so that there is no variance."""
        return self._estimate(name, other)[1]

    def _estimate(self, name: str, other: str | None) -> tuple[Interval, float]:
        from scipy.stats import t

        at = self.names.index(name)
        of_seeds, of_draws = self.by_seed[at], self.draws[:, at]
        if other is not None:
            to = self.names.index(other)
            of_seeds, of_draws = of_seeds - self.by_seed[to], of_draws - self.draws[:, to]
        mean, seeds = float(of_seeds.mean()), len(of_seeds)
        items = float(of_draws.var(ddof=1))
        training = float(of_seeds.var(ddof=1)) / seeds if seeds > 1 else 0.0
        error = math.sqrt(items + training)
        if error <= 1e-12 * max(1.0, abs(mean)):
            return Interval(mean, mean, mean), 1.0
        freedom = error**4 / (items**2 / (self.items - 1) + (training**2 / (seeds - 1) if seeds > 1 else 0.0))
        half = float(t.ppf(0.975, freedom)) * error
        return Interval(mean, mean - half, mean + half), float(2 * t.sf(abs(mean) / error, freedom))


def resample(
    values: Mapping[str, Float[np.ndarray, "seeds items"]],
    gold: Float[np.ndarray, " items"] | None = None,
    *,
    resamples: int | None = None,
    seed: int = 0,
) -> Resampled:
    """Resample items, the same for all models.

    Args:
        values: For each model one value per seed and item, in the same order. A model that does not depend on the seed
            may have one row.
        gold: Gold scores: if given, the metric is Spearman's correlation of the values with them, otherwise the mean.
        resamples: Number of draws; by default fewer with `gold`, because each draw is ranked again.
        seed: Random seed of the draws.

    Raises:
        InputError: There is no model, there are fewer than two items, or the numbers of seeds or items differ.
    """
    import numpy as np

    seeds, items = _sizes(values)
    stacked = np.stack([np.broadcast_to(of, (seeds, items)) for of in values.values()]).astype(np.float64)
    wanted = None if gold is None else np.asarray(gold, dtype=np.float64)
    count = resamples or (RESAMPLES if gold is None else RESAMPLES_RANKED)
    rng, found = np.random.default_rng(seed), []
    at_once = max(1, _AT_ONCE // (items * (1 if gold is None else stacked.shape[0] * seeds)))
    for start in range(0, count, at_once):
        size = min(at_once, count - start)
        if wanted is None:
            weights = rng.multinomial(items, np.full(items, 1 / items), size=size) / items
            found.append(weights @ stacked.mean(1).T)
        else:
            found.append(
                _correlations(stacked, np.asarray(gold, dtype=np.float64), rng.integers(items, size=(size, items)))
            )
    whole = stacked.mean(2) if wanted is None else _correlations(stacked, wanted, np.arange(items)[None])[0]
    return Resampled(tuple(values), whole, np.concatenate(found), items)


def _correlations(
    stacked: Float[np.ndarray, "m s items"], gold: Float[np.ndarray, " items"], drawn: np.ndarray
) -> Float[np.ndarray, "r m s"]:
    """Spearman's correlation in each draw; 0 if all values of a draw are equal."""
    import numpy as np

    ranks, wanted = _centred_ranks(np.moveaxis(stacked[:, :, drawn], 2, 0)), _centred_ranks(gold[drawn])
    scale = np.sqrt((ranks**2).sum(-1) * (wanted**2).sum(-1)[:, None, None])
    products = np.einsum("rmsi,ri->rms", ranks, wanted)
    return np.where(scale > 0, products / np.where(scale > 0, scale, 1), 0.0)


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1)
    return ranks - ranks.mean(-1, keepdims=True)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for multiple comparisons, to control the family-wise error rate (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda row: p_values[row])
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, row in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[row]))
        corrected[row] = least
    return corrected


def _sizes(values: Mapping[str, Float[np.ndarray, "seeds items"]]) -> tuple[int, int]:
    seeds, items = max((len(of) for of in values.values()), default=0), {of.shape[1] for of in values.values()}
    if len(items) != 1 or any(len(of) not in (1, seeds) for of in values.values()):
        raise InputError("expected the same items and seeds for all models, got different numbers")
    if min(items) < 2:
        raise InputError("expected at least 2 evaluation items, got 1", field="--eval", remedy="use more rows")
    return seeds, min(items)

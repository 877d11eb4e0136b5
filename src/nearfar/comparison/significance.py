"""Means over runs and items with intervals, differences between models, and a correction for multiple comparisons.

A score varies because the items are a sample, and because training is random. Items are the same for all models, so
their variation is that of paired differences. What a model's runs (seeds) add is independent from model to model, and
with two or three runs its variance is barely known. So that few runs do not make false winners:

- with six models or more, the variance between the runs of each is moderated: its own is drawn towards the typical one
  of all models, the more the less these differ among models (empirical Bayes, Smyth). A few models whose runs differ
  much do not widen the intervals of the others;
- with fewer models, it is pooled over all of them, and is not less than that of the model's own runs. A model whose
  runs differ far more than those of the others (Cochran's test for an outlying variance) keeps its own;
- an interval adds the squares of the half-widths that each variance has alone, with Student's quantile of its own
  degrees of freedom. By Banerjee's inequality it is never too narrow for estimates that have these degrees of freedom.
  Those of Welch and Satterthwaite have no such guarantee: where runs differ much, 12 % of the comparisons of two equal
  recipes with two runs had a significant difference, and 25 % of those of four.

If the runs of some models differ ten times as much as those of others, two runs are too few for any of this: those of
such a model may agree by chance. `benchmarks/calibration.py` measures how often equal recipes differ significantly, and
how often unequal ones do.

Banerjee 1960, Approximate confidence interval for linear functions of means of k populations when the population
variances are not equal (Sankhya 22);
Cochran 1941, The distribution of the largest of a set of estimated variances as a fraction of their total;
Holm 1979, A simple sequentially rejective multiple test procedure;
Smyth 2004, Linear models and empirical Bayes methods for assessing differential expression in microarray experiments
(Statistical Applications in Genetics and Molecular Biology 3), section 6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nearfar.errors import InputError
from nearfar.evaluation.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

#: Draws of items where the variance of a correlation has no simple formula.
RESAMPLES = 2_000
#: Level of the test for an outlying variance.
_OUTLYING = 0.01
#: From so many models on, the spread of their variances between runs is estimated.
_MODERATED = 6
#: Maximum number of values in memory during resampling.
_AT_ONCE = 2**23


class Part(NamedTuple):
    """A part of the variance of a mean.

    Args:
        variance: The variance.
        freedom: Degrees of freedom of its estimate.
    """

    variance: float
    freedom: float


@dataclass(frozen=True, eq=False)
class Estimates:
    """The scores of all models, and how they vary.

    Args:
        names: Names of the models.
        by_seed: Score of each model and run.
        deviations: Variation over samples of items: the variance of a combination of scores is the sum of the squares
            of the same combination of these.
        runs: Part of the variance of each model's mean that is due to its runs; None for a model without a seed, and
            if there is one run.
        items: Number of items.
    """

    names: tuple[str, ...]
    by_seed: Float[np.ndarray, "models seeds"]
    deviations: Float[np.ndarray, "n models seeds"]
    runs: tuple[Part | None, ...]
    items: int

    def mean(self, name: str) -> Interval:
        """A model's mean over runs and items with its 95% interval."""
        return self._estimate(name, None)[0]

    def difference(self, name: str, other: str) -> Interval:
        """`name` minus `other`, paired by item, with its 95% interval."""
        return self._estimate(name, other)[0]

    def p_value(self, name: str, other: str) -> float:
        """The two-sided p-value of no difference; 1 if all items and runs agree, so that there is no variance."""
        return self._estimate(name, other)[1]

    def _estimate(self, name: str, other: str | None) -> tuple[Interval, float]:
        at = [self.names.index(each) for each in (name, other) if each is not None]
        of_seeds, deviations = self.by_seed[at[0]], self.deviations[:, at[0]]
        if other is not None:
            of_seeds, deviations = of_seeds - self.by_seed[at[1]], deviations - self.deviations[:, at[1]]
        mean = float(of_seeds.mean())
        items = Part(_common(deviations), self.items - 1)
        parts = [items, *(part for each in at if (part := self.runs[each]) is not None)]
        if math.sqrt(sum(part.variance for part in parts)) <= 1e-12 * max(1.0, abs(mean)):
            return Interval(mean, mean, mean), 1.0
        half = math.sqrt(_squared(parts, 0.05))
        return Interval(mean, mean - half, mean + half), _p_value(mean, parts)


def estimate(
    values: Mapping[str, Float[np.ndarray, "seeds items"]],
    gold: Float[np.ndarray, " items"] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimates:
    """Scores of models that were measured on the same items.

    Args:
        values: For each model one value per run and item, items in the same order. A model that does not depend on a
            seed may have one row.
        gold: Gold scores: if given, the metric is Spearman's correlation of the values with them, otherwise the mean.
        resamples: Number of draws of items for a correlation.
        seed: Random seed of the draws.

    Raises:
        InputError: There is no model, there are fewer than two items, or the numbers of runs or items differ.
    """
    import numpy as np

    seeds, items = _sizes(values)
    stacked = np.stack([np.broadcast_to(of, (seeds, items)) for of in values.values()]).astype(np.float64)
    if gold is None:
        by_seed = stacked.mean(2)
        deviations = np.moveaxis(stacked - by_seed[..., None], 2, 0) / math.sqrt(items * (items - 1))
    else:
        wanted = np.asarray(gold, dtype=np.float64)
        by_seed = _correlations(stacked, wanted, np.arange(items)[None])[0]
        rng, at_once = np.random.default_rng(seed), max(1, _AT_ONCE // stacked.size)
        sizes = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
        draws = [_correlations(stacked, wanted, rng.integers(items, size=(size, items))) for size in sizes]
        drawn = np.concatenate(draws)
        deviations = (drawn - drawn.mean(0)) / math.sqrt(resamples - 1)
    trained = [seeds > 1 and len(of) > 1 for of in values.values()]
    return Estimates(tuple(values), by_seed, deviations, _of_runs(by_seed, trained), items)


def _common(deviations: Float[np.ndarray, "n seeds"]) -> float:
    """The variance over items that all runs share: what single runs add to it is in the variance between runs."""
    seeds = deviations.shape[1]
    of_mean, of_one = float((deviations.mean(1) ** 2).sum()), float((deviations**2).sum()) / seeds
    return of_mean if seeds == 1 else max(0.0, of_mean - (of_one - of_mean) / (seeds - 1))


def _of_runs(by_seed: Float[np.ndarray, "models seeds"], trained: Sequence[bool]) -> tuple[Part | None, ...]:
    """The part of the variance of each model's mean that is due to its runs."""
    seeds = by_seed.shape[1]
    own = {row: float(by_seed[row].var(ddof=1)) for row, is_trained in enumerate(trained) if is_trained}
    enough = len(own) >= _MODERATED and sorted(own.values())[len(own) // 2] > 0
    of_one = (_moderated if enough else _shared)(own, seeds - 1)
    return tuple(
        None if row not in own else Part(of_one[row].variance / seeds, of_one[row].freedom)
        for row in range(len(by_seed))
    )


def _moderated(own: Mapping[int, float], freedom: int) -> dict[int, Part]:
    """The variance between the runs of each model, drawn towards the typical one of all (Smyth 2004)."""
    import numpy as np
    from scipy.special import polygamma, psi

    found = np.array(list(own.values()))
    # Two runs may have the same accuracy: the logarithm of such a variance would decide alone.
    logs = np.log(np.maximum(found, 1e-3 * np.median(found))) - psi(freedom / 2) + math.log(freedom / 2)
    spread = float(logs.var(ddof=1) - polygamma(1, freedom / 2))
    most = len(found) * freedom
    # Degrees of freedom of what is known from the other models: few if their variances differ more than by chance.
    prior = min(2 * _inverse_trigamma(spread), most) if spread > 0 else most
    typical = math.exp(float(logs.mean()) + psi(prior / 2) - math.log(prior / 2)) if prior < most else found.mean()
    return {
        row: Part((prior * typical + freedom * variance) / (prior + freedom), min(prior + freedom, most))
        for row, variance in own.items()
    }


def _inverse_trigamma(value: float) -> float:
    """The x > 0 with trigamma(x) = value > 0."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    # 1 / x < trigamma(x) < 1 / x + 1 / x^2
    low, high = 1 / value, 1 / value + 1 / math.sqrt(value) + 1
    return float(brentq(lambda x: float(polygamma(1, x)) - value, low, high))  # pyright: ignore[reportArgumentType]


def _shared(own: Mapping[int, float], freedom: int) -> dict[int, Part]:
    """The variance between the runs of each model, pooled over models without those that are outliers."""
    pool = _pooled(own, freedom)
    shared = sum(own[row] for row in pool) / max(1, len(pool))
    return {
        row: Part(max(variance, shared), len(pool) * freedom) if row in pool else Part(variance, freedom)
        for row, variance in own.items()
    }


def _pooled(variances: Mapping[int, float], freedom: int) -> list[int]:
    """The models whose variance is pooled: all, but for those whose variance is an outlier among them (Cochran)."""
    from scipy.stats import f

    pool = sorted(variances, key=lambda row: variances[row])
    while len(pool) > 2:
        *others, largest = (variances[row] for row in pool)
        rest = sum(others) / len(others)
        if rest == 0 or f.sf(largest / rest, freedom, len(others) * freedom) * len(pool) >= _OUTLYING:
            break
        pool.pop()
    return pool


def _squared(parts: Sequence[Part], level: float) -> float:
    """The squared half-width of the interval with this error probability (Banerjee 1960)."""
    from scipy.special import stdtrit

    return sum(float(stdtrit(part.freedom, level / 2)) ** 2 * part.variance for part in parts if part.variance > 0)


def _p_value(mean: float, parts: Sequence[Part]) -> float:
    """The level at which the interval ends at 0."""
    from scipy.optimize import brentq

    lowest = -16.0  # a smaller level is as good as 0

    def beyond(power: float) -> float:
        return _squared(parts, 10**power) - mean**2

    if mean == 0:
        return 1.0
    if beyond(lowest) <= 0:
        return 10**lowest
    return 10 ** float(brentq(beyond, lowest, 0.0, xtol=1e-9))  # pyright: ignore[reportArgumentType]


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

"""Means over seeds and items with their intervals, all models resampled together, and corrected for several questions.

A result varies because other items might have been asked, and because training is random. The first part is a bootstrap
of items, the same draws for all models; the second is the variance between seeds. Differences between models are paired
in both: by item and by seed. The two variances add up, and their sum has the degrees of freedom of Welch and
Satterthwaite: few seeds widen an interval where seeds differ, and hardly where it is the items that decide.

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
#: Numbers held at once in a resampling.
_AT_ONCE = 2**23


@dataclass(frozen=True, eq=False)
class Resampled:
    """Every model's mean, with each seed and with other items.

    Args:
        names: The models.
        by_seed: The mean over items of each model with each seed.
        draws: The mean over seeds in each draw of items, the same items for all models.
        items: How many there are.
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
        """Two-sided, of no difference; 1 where all items and seeds agree, which says nothing on how others would."""
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
    """Draw items anew, the same for all models.

    Args:
        values: For each model a value an item and seed, in the same order for all. A model that no seed changes may
            have one row.
        gold: Where given, the figure is Spearman's correlation of an item's values with it, and else their mean.
        resamples: How often to draw; fewer by default where each draw ranks anew.
        seed: Decides the draws.

    Raises:
        InputError: no model, fewer than two items, or unequal numbers of seeds or items.
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
    """Spearman's correlation in each draw; 0 where a draw ranks nothing."""
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
    """P-values corrected so that the chance of any false claim among them stays below the level used (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda row: p_values[row])
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, row in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[row]))
        corrected[row] = least
    return corrected


def _sizes(values: Mapping[str, Float[np.ndarray, "seeds items"]]) -> tuple[int, int]:
    seeds, items = max((len(of) for of in values.values()), default=0), {of.shape[1] for of in values.values()}
    if len(items) != 1 or any(len(of) not in (1, seeds) for of in values.values()):
        raise InputError("models were measured on different items or seeds, so nothing can be paired")
    if min(items) < 2:
        raise InputError("one item says nothing on how others would differ", field="--eval", remedy="give more rows")
    return seeds, min(items)

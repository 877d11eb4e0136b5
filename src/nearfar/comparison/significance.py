"""Means over seeds and items with their intervals, all models resampled together, and corrected for several questions.

A result varies because training is random and because other items might have been asked. Both are drawn anew, crossed:
one draw picks seeds and items with replacement, the same for all models, so differences between models are paired in
both. With few seeds, plain draws of seeds would be too narrow by sqrt(S / (S - 1)); their deviations from the mean are
widened by it. Crossed draws count the chance that belongs to neither side alone twice, so intervals are a little wide.

Owen 2007, The pigeonhole bootstrap; Holm 1979, A simple sequentially rejective multiple test procedure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.evaluation.intervals import Interval

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

RESAMPLES, RESAMPLES_RANKED = 10_000, 2_000
#: Numbers held at once in a resampling.
_AT_ONCE = 2**23


@dataclass(frozen=True, eq=False)
class Resampled:
    """Draws of every model's mean.

    Args:
        names: The models.
        means: Of each as measured.
        draws: The same in each draw.
    """

    names: tuple[str, ...]
    means: Float[np.ndarray, " models"]
    draws: Float[np.ndarray, "resamples models"]

    def mean(self, name: str) -> Interval:
        """A model's mean over seeds and items with its 95% interval."""
        at = self.names.index(name)
        return _interval(float(self.means[at]), self.draws[:, at])

    def difference(self, name: str, other: str) -> Interval:
        """`name` minus `other`, paired by seed and item, with its 95% interval."""
        a, b = self.names.index(name), self.names.index(other)
        return _interval(float(self.means[a] - self.means[b]), self.draws[:, a] - self.draws[:, b])

    def p_value(self, name: str, other: str) -> float:
        """Two-sided: how seldom the difference would lie on the other side of zero. Never 0: draws are finite."""
        a, b = self.names.index(name), self.names.index(other)
        gap = self.draws[:, a] - self.draws[:, b]
        beyond = min(int((gap <= 0).sum()), int((gap >= 0).sum()))
        return min(1.0, 2 * (beyond + 1) / (len(gap) + 1))


def resample(
    values: Mapping[str, Float[np.ndarray, "seeds items"]],
    gold: Float[np.ndarray, " items"] | None = None,
    *,
    resamples: int | None = None,
    seed: int = 0,
) -> Resampled:
    """Draw seeds and items, the same for all models.

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
            found.append(np.einsum("ri,msi->rms", weights, stacked, optimize=True))
        else:
            found.append(
                _correlations(stacked, np.asarray(gold, dtype=np.float64), rng.integers(items, size=(size, items)))
            )
    by_seed = np.concatenate(found)
    whole = stacked.mean(2) if wanted is None else _correlations(stacked, wanted, np.arange(items)[None])[0]
    return Resampled(tuple(values), whole.mean(1), _over_seeds(by_seed, rng))


def _over_seeds(by_seed: Float[np.ndarray, "r m s"], rng: np.random.Generator) -> Float[np.ndarray, "r m"]:
    import numpy as np

    seeds = by_seed.shape[2]
    if seeds == 1:
        return by_seed[:, :, 0]
    middle = by_seed.mean(2, keepdims=True)
    widened = middle + np.sqrt(seeds / (seeds - 1)) * (by_seed - middle)
    weights = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(by_seed)) / seeds
    return np.einsum("rms,rs->rm", widened, weights)


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


def _interval(mean: float, draws: np.ndarray) -> Interval:
    import numpy as np

    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(mean, float(low), float(high))

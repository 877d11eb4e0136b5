"""Successive halving: all configurations on a short budget, the better half on twice that, and so on.

Jamieson and Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization (AISTATS).

The schedule is written here rather than taken from a library: optuna's pruner stops a run by a value in its middle,
where the learning rates of the runs have not decayed yet, and scikit-learn's halving search trains in its own process.
Here, each run of a rung is a whole run with its own schedule, in a process that can be resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["FINALISTS", "Rung", "rungs", "survivors"]

#: Maximum number of configurations in the last rung.
FINALISTS = 3


class Rung(NamedTuple):
    """A round of runs.

    Args:
        configurations: Number of configurations.
        seeds: Number of runs of each.
        share: Budget of a run as a fraction of that in the last rung.
    """

    configurations: int
    seeds: int
    share: float


def rungs(count: int, seeds: int) -> list[Rung]:
    """The rungs for `count` configurations: one seed and half of them go on, until at most three have all seeds."""
    sizes = [count]
    while sizes[-1] > FINALISTS:
        sizes.append((sizes[-1] + 1) // 2)
    last = len(sizes) - 1
    return [Rung(size, seeds if at == last else 1, 0.5 ** (last - at)) for at, size in enumerate(sizes)]


def survivors(scores: Mapping[str, float], count: int) -> list[str]:
    """The `count` best configurations, in their order in `scores`; of equal ones, the first."""
    best = set(sorted(scores, key=lambda name: -scores[name])[:count])
    return [name for name in scores if name in best]

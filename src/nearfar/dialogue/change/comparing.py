"""What changed between two logs over the same actions: the share of each action, and the probability of each step.

Three things keep chance from looking like a change:

- Turns of one dialogue depend on each other. So whole dialogues are drawn: the intervals are percentiles of the
  bootstrap over the dialogues of each log (Efron and Tibshirani 1993, chapter 13), and the p-values come from random
  assignments of the dialogues to the two logs.
- Hundreds of rates are compared at once. So the p-values are adjusted by the step-down maxT procedure (Westfall and
  Young 1993, Algorithm 4.1): if nothing changed, the probability that anything at all is marked is at most 5%. It
  takes into account that rates depend on each other, and assumes nothing about their distribution.
- What is rare in both logs together cannot be tested; it is listed as not tested, and does not weaken the other tests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nearfar.dialogue.graph import END, FIRST, START, Edge, transitions
from nearfar.dialogue.log import Log, steps

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Kind = Literal["new", "gone", "more", "less", "same", "untested"]

LEVEL = 0.05
"""The probability of any mark at all if nothing changed."""
RESAMPLES = 1000
MOST_CHANGES = 3000
"""Maximum number of compared rates; of more, the rarest are not compared."""
_LEAST, _LEAST_FROM = 5, 10
_BLOCK = 100


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two logs.

    Args:
        log: The dialogues. Only who speaks in them is used, so `texts` may be empty.
        turn: The action of each turn.
    """

    log: Log
    turn: Int[np.ndarray, " turns"]

    @property
    def nodes(self) -> Int[np.ndarray, " turns"]:
        """The node of each turn in the graph."""
        return self.turn.astype(np.int64) + FIRST

    def counts(self, speaker: int | None = None) -> dict[Edge, int]:
        """How often each step occurs, over all turns or over one speaker's."""
        return transitions(self.log, self.nodes, speaker)


@dataclass(frozen=True)
class Rate:
    """A rate in both logs: the share of an action among all turns, or of a step among the steps from its source.

    Args:
        node: The node of an action, or the source of a step.
        target: The target of a step; None: this is the rate of an action.
        counts: How often it occurs in each log.
        before, after: The rates, 0 to 1; None if the source of a step does not occur in that log.
        low, high: The bounds of the 95% interval of after - before; None if it is not tested.
        p: The adjusted p-value; None if it is not tested.
    """

    node: int
    target: int | None
    counts: tuple[int, int]
    before: float | None
    after: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def difference(self) -> float:
        """after - before, where a rate without a value counts as 0."""
        return (self.after or 0.0) - (self.before or 0.0)

    @property
    def kind(self) -> Kind:
        """What happened; "same": no significant difference; "untested": too rare, or its source is in one log only."""
        if self.p is None:
            return "untested"
        if self.p > LEVEL:
            return "same"
        if not self.counts[0]:
            return "new"
        if not self.counts[1]:
            return "gone"
        return "more" if self.difference > 0 else "less"


@dataclass(frozen=True, eq=False)
class Change:
    """Two logs compared.

    Args:
        before: The earlier log.
        names: What the two logs are called.
        rates: The rates of all actions and steps, those that changed first, and the largest difference first.
        added: Actions that the earlier flow does not have.
        method: "update" or "against": how the actions of the two logs were made the same.
    """

    before: Side
    names: tuple[str, str]
    rates: tuple[Rate, ...]
    added: frozenset[int] = frozenset()
    method: Literal["update", "against"] = "against"

    @property
    def significant(self) -> list[Rate]:
        """The rates that changed."""
        return [rate for rate in self.rates if rate.kind not in ("same", "untested")]


def compare(
    before: Side, after: Side, *, steps_too: bool = True, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Rate, ...]:
    """Compare the shares of actions and the probabilities of steps.

    Args:
        before: The earlier log.
        after: The later log, over the same actions.
        steps_too: Whether steps are compared, too, or only actions.
        seed: Random seed of the resampling.
        resamples: Number of random assignments, and of bootstrap samples.

    Returns:
        The rate of every action and step of either log, those that changed first.
    """
    counted = _Counted.of(before, after)
    if not steps_too:
        counted = counted.chosen(np.flatnonzero([rate.target is None for rate in counted.rates]))
    order = np.arange(len(counted.rates))
    counts = np.asarray([sum(rate.counts) for rate in counted.rates])
    of = np.asarray([sum(pair) for pair in counted.out_of])
    both = np.asarray([min(pair) > 0 for pair in counted.out_of], bool)
    tested = order[(counts >= _LEAST) & (of >= _LEAST_FROM) & both]
    tested = np.sort(tested[np.argsort(-counts[tested], kind="stable")][:MOST_CHANGES])
    rates = list(counted.rates)
    if len(tested) and len(before.log) > 1 and len(after.log) > 1:
        part = counted.chosen(tested)
        p = part.adjusted_p(np.random.default_rng(seed), resamples)
        low, high = part.intervals(np.random.default_rng([seed, 1]), resamples)
        for place, number in enumerate(tested.tolist()):
            bounds = {"low": float(low[place]), "high": float(high[place])}
            rates[number] = replace(rates[number], p=float(p[place]), **bounds)
    rank = {"new": 0, "gone": 0, "more": 0, "less": 0, "same": 1, "untested": 2}
    rates.sort(
        key=lambda rate: (rank[rate.kind], -abs(rate.difference), rate.node, -1 if rate.target is None else rate.target)
    )
    return tuple(rates)


@dataclass(frozen=True, eq=False)
class _Counted:
    """Counts by dialogue, of both logs one after the other: rate = sum of `times` / sum of the column `source`."""

    times: Any  # sparse, dialogues x rates
    sources: Any  # sparse, dialogues x denominators
    source: Int[np.ndarray, " rates"]
    size: int  # number of dialogues of the earlier log
    rates: list[Rate]
    out_of: list[tuple[int, int]]

    @classmethod
    def of(cls, before: Side, after: Side) -> _Counted:
        from scipy.sparse import csr_matrix

        sides = (before, after)
        nodes = max((int(side.nodes.max(initial=END)) for side in sides), default=END) + 1
        dialogue, target, source, base = [], [], [], 0
        for side in sides:
            a, b, of = steps(side.log, side.nodes, START, END)
            dialogue.append(of + base)
            source.append(a)
            target.append(b)
            base += len(side.log)
        of, a, b = (np.concatenate(parts) for parts in (dialogue, source, target))
        size = len(before.log)
        # Entering an action is one turn of it; column `nodes` of the denominators counts all turns.
        said = b >= FIRST
        actions, action = np.unique(b[said], return_inverse=True)
        codes, step = np.unique(a * nodes + b, return_inverse=True)
        rows = np.concatenate([of[said], of])
        columns = np.concatenate([action, len(actions) + step])
        times = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(base, len(actions) + len(codes)))
        rows = np.concatenate([of[said], of])
        columns = np.concatenate([np.full(int(said.sum()), nodes), a])
        sources = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(base, nodes + 1))
        column = np.concatenate([np.full(len(actions), nodes), codes // nodes])
        counts = [_sums(times[:size]), _sums(times[size:])]
        whole = [_sums(sources[:size])[column], _sums(sources[size:])[column]]
        keys = [(int(node), None) for node in actions] + [(int(code // nodes), int(code % nodes)) for code in codes]
        rates = []
        for place, (node, to) in enumerate(keys):
            pair = (int(counts[0][place]), int(counts[1][place]))
            shares = [
                count / int(all_[place]) if all_[place] else None for count, all_ in zip(pair, whole, strict=True)
            ]
            rates.append(Rate(node, to, pair, *shares))
        out_of = [(int(x), int(y)) for x, y in zip(*whole, strict=True)]
        return cls(times, sources, column, size, rates, out_of)

    def chosen(self, numbers: Int[np.ndarray, " chosen"]) -> _Counted:
        kept = [self.rates[number] for number in numbers]
        out_of = [self.out_of[number] for number in numbers]
        return _Counted(self.times[:, numbers], self.sources, self.source[numbers], self.size, kept, out_of)

    def adjusted_p(self, generator: np.random.Generator, resamples: int) -> Float[np.ndarray, " rates"]:
        """P-values of random assignments of the dialogues to the logs, by step-down maxT."""
        total = self.times.shape[0]
        times, sources = self.times.T.tocsr(), self.sources.T.tocsr()
        whole = [np.asarray(matrix.sum(1), np.float64).reshape(-1, 1) for matrix in (times, sources)]
        found = np.empty((len(self.rates), resamples), np.float32)
        for start in range(0, resamples, _BLOCK):
            count = min(_BLOCK, resamples - start)
            late = np.zeros((total, count), np.float32)
            late[self.size :] = 1
            late = generator.permuted(late, axis=0)
            sums = times @ late, sources @ late
            found[:, start : start + count] = self._ratio(*sums) - self._ratio(whole[0] - sums[0], whole[1] - sums[1])
        found = np.nan_to_num(found)
        seen = np.asarray([rate.difference for rate in self.rates])
        scale = np.sqrt((found**2).mean(1))
        scale = np.where(scale > 0, scale, 1.0)
        observed, random = np.abs(seen) / scale, np.abs(found) / scale[:, None]
        order = np.argsort(observed, kind="stable")  # ascending: the largest one competes with all
        largest = np.maximum.accumulate(random[order], axis=0)
        # Sums in another order differ in the last bits, and must count as equal.
        reached = (largest >= observed[order][:, None] * (1 - 1e-5)).sum(1)
        p = (1 + reached) / (1 + resamples)
        p = np.maximum.accumulate(p[::-1])[::-1]
        adjusted = np.empty(len(p))
        adjusted[order] = p
        return adjusted

    def intervals(
        self, generator: np.random.Generator, resamples: int
    ) -> tuple[Float[np.ndarray, " rates"], Float[np.ndarray, " rates"]]:
        """The bounds of the 95% percentile bootstrap intervals of the differences."""
        found = np.zeros((len(self.rates), resamples), np.float32)
        for sign, rows in ((-1, slice(0, self.size)), (1, slice(self.size, None))):
            times, sources = self.times[rows].T.tocsr(), self.sources[rows].T.tocsr()
            many = times.shape[1]
            for start in range(0, resamples, _BLOCK):
                count = min(_BLOCK, resamples - start)
                picked = generator.integers(many, size=(many, count)) * count + np.arange(count)
                weights = np.bincount(picked.ravel(), minlength=many * count).reshape(many, count).astype(np.float32)
                found[:, start : start + count] += sign * self._ratio(times @ weights, sources @ weights)
        # A sample without the source of a step says nothing about it.
        low, high = np.nanquantile(found, [0.025, 0.975], axis=1)
        return low, high

    def _ratio(self, times: np.ndarray, sources: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return times / sources[self.source]


def _sums(matrix: Any) -> Int[np.ndarray, " columns"]:
    return np.asarray(matrix.sum(0)).ravel().astype(np.int64)

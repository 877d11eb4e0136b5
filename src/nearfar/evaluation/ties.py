"""Measures of a ranking in which items may have equal scores: the mean over all orders of what is tied, exactly.

Where items stand in a file must decide nothing: a model that gives every document the same score would otherwise have
all that comes first, or nothing. Of a relevant item only this matters: how many items are above it, how many are tied
with it, and how many of both are relevant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = [
    "TOLERANCE",
    "Ranks",
    "among_closest",
    "average_precision",
    "closest",
    "discounted_gain",
    "found_at",
    "macro_f1",
    "ranks_of",
    "reciprocal_rank",
]

#: Scores are equal where they differ by no more than this share of the largest: rounding in float32.
TOLERANCE = 2.0**-21


@dataclass(frozen=True)
class Ranks:
    """Where the relevant items of one ranking or of several are.

    Args:
        above: For each relevant item, how many items of its ranking have a higher score.
        tied: How many have the same score, itself included.
        relevant_above: How many of those above are relevant.
        relevant_tied: How many of those tied are relevant, itself included.
    """

    above: Int[np.ndarray, " r"]
    tied: Int[np.ndarray, " r"]
    relevant_above: Int[np.ndarray, " r"]
    relevant_tied: Int[np.ndarray, " r"]


def ranks_of(scores: Float[np.ndarray, " m"], relevant: np.ndarray) -> Ranks:
    """The ranks of the relevant items among m scored ones.

    Args:
        scores: Higher is better.
        relevant: A truth value each.
    """
    scores = np.asarray(scores, dtype=np.float64)
    margin = TOLERANCE * np.abs(scores).max()
    mine = scores[relevant]
    above, tied = _counts(np.sort(scores), mine, margin)
    relevant_above, relevant_tied = _counts(np.sort(mine), mine, margin)
    return Ranks(above, tied, relevant_above, relevant_tied)


def _counts(
    ascending: Float[np.ndarray, " m"], of: Float[np.ndarray, " r"], margin: float
) -> tuple[Int[np.ndarray, " r"], Int[np.ndarray, " r"]]:
    upper = np.searchsorted(ascending, of + margin, "right")
    return len(ascending) - upper, upper - np.searchsorted(ascending, of - margin, "left")


def discounted_gain(ranks: Ranks, k: int) -> Float[np.ndarray, " r"]:
    """The expected discount 1 / log2(rank + 1) of each relevant item, 0 beyond rank k."""
    return _mean_over_places(1 / np.log2(np.arange(2, k + 2)), ranks)


def found_at(ranks: Ranks, k: int) -> Float[np.ndarray, " r"]:
    """The probability of each relevant item to be among the first k."""
    return np.clip(k - ranks.above, 0, ranks.tied) / ranks.tied


def reciprocal_rank(ranks: Ranks, k: int) -> Float[np.ndarray, " r"]:
    """The expected 1 / rank of the first relevant item among those tied with each item, 0 beyond rank k.

    The largest of a ranking is its reciprocal rank: that of its highest relevant items.
    """
    total, none_yet = np.zeros(len(ranks.above)), np.ones(len(ranks.above))
    for place in range(1, min(k, int(ranks.tied.max(initial=0))) + 1):
        left = np.maximum(ranks.tied - place + 1, 1)
        here = none_yet * np.minimum(ranks.relevant_tied / left, 1) * (place <= ranks.tied)
        rank = ranks.above + place
        total += np.where(rank <= k, here / rank, 0)
        none_yet -= here
    return total


def average_precision(ranks: Ranks, k: int) -> Float[np.ndarray, " r"]:
    """The expected precision at the rank of each relevant item, 0 beyond rank k. Their sum is that of the ranking."""
    places = np.arange(1, k + 1)
    # At the j-th of t tied places the precision is (relevant above + 1 + (j - 1) * share) / (above + j), where share is
    # what the other tied places hold on average.
    share = (ranks.relevant_tied - 1) / np.maximum(ranks.tied - 1, 1)
    constant = ranks.relevant_above + 1 - share * (ranks.above + 1)
    return constant * _mean_over_places(1 / places, ranks) + share * _mean_over_places(np.ones(k), ranks)


def _mean_over_places(values: Float[np.ndarray, " k"], ranks: Ranks) -> Float[np.ndarray, " r"]:
    """The mean of a value of ranks 1 to k, and of 0 beyond, over the tied places of each item."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    last = np.minimum(ranks.above + ranks.tied, len(values))
    return (sums[last] - sums[np.minimum(ranks.above, len(values))]) / ranks.tied


def closest(similarity: Float[np.ndarray, "n labels"]) -> Float[np.ndarray, "n labels"]:
    """The probability of each label to be the closest of a row, where equal similarities are drawn from."""
    largest = similarity.max(1, keepdims=True)
    tied = similarity >= largest - TOLERANCE * np.abs(similarity).max(1, keepdims=True)
    return tied / tied.sum(1, keepdims=True)


def among_closest(
    similarity: Float[np.ndarray, "n labels"], wanted: Int[np.ndarray, " n"], k: int
) -> Float[np.ndarray, " n"]:
    """The probability of a row's own label to be among the k closest, over all orders of equal similarities."""
    own = similarity[np.arange(len(wanted)), wanted][:, None]
    margin = TOLERANCE * np.abs(similarity).max(1, keepdims=True)
    above = (similarity > own + margin).sum(1)
    tied = (similarity >= own - margin).sum(1) - above
    return np.clip(k - above, 0, tied) / tied


def macro_f1(told: Float[np.ndarray, "n labels"], gold: Int[np.ndarray, " n"]) -> float:
    """Macro F1 of the probabilities with which each label was told; of 0 and 1 it is scikit-learn's.

    Args:
        told: A row for each item.
        gold: The right column of each; every column is right for some item.
    """
    right = np.bincount(gold, told[np.arange(len(gold)), gold], told.shape[1])
    return float(np.mean(2 * right / (told.sum(0) + np.bincount(gold, minlength=told.shape[1]))))

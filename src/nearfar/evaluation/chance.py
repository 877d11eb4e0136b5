"""What guessing scores, and whether scores differ from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nearfar.evaluation.intervals import Interval

__all__ = ["Chance", "at_chance", "of_labels"]

#: The upper 95% bound of a share that was 0 among n items is about 3 / n: Hanley and Lippman-Hand 1983, If nothing goes
#: wrong, is everything all right?
_RULE_OF_THREE = 3.0


class Chance(NamedTuple):
    """What guessing is expected to score in the primary metric.

    Args:
        low: The worst way of guessing, such as a random label.
        high: The best way of guessing, such as always the most frequent label; equal to `low` where there is one way.
    """

    low: float
    high: float


def of_labels(gold: Sequence[int], labels: int) -> Chance:
    """The accuracy of guessing one of `labels` labels: at random, and always the most frequent one of `gold`."""
    import numpy as np

    return Chance(1 / labels, float(np.bincount(gold).max() / len(gold)))


def at_chance(intervals: Iterable[Interval | None], chance: Chance | None, items: int) -> bool:
    """Whether guessing explains all scores: every interval contains what some way of guessing scores.

    Args:
        intervals: The 95% interval of each score; None if it is unknown, and then nothing is said.
        chance: What guessing scores; None if it is unknown.
        items: Number of items of each score.
    """
    return chance is not None and all(each is not None and _explains(chance, each, items) for each in intervals)


def _explains(chance: Chance, score: Interval, items: int) -> bool:
    # Items of equal value have an interval without width, which says nothing on other items.
    margin = _RULE_OF_THREE / items if score.degenerate else 0.0
    return score.low - margin <= chance.high and score.high + margin >= chance.low

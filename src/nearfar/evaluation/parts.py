"""The result on a part of the items of an evaluation: one part chooses, another is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nearfar.errors import InputError
from nearfar.evaluation.result import Result

__all__ = ["LEAST", "halves", "part_of"]

#: Minimum number of items: each half needs enough of them for an interval.
LEAST = 10


def halves(items: int, seed: int = 0) -> tuple[list[int], list[int]]:
    """Numbers of the items of two random halves, each in ascending order; the first may have one more.

    Raises:
        InputError: There are fewer than 10 items.
    """
    import numpy as np

    if items < LEAST:
        raise InputError(f"expected at least {LEAST} items, to split them into halves, got {items}", remedy="add rows")
    order = np.random.default_rng(seed).permutation(items)
    middle = (items + 1) // 2
    return np.sort(order[:middle]).tolist(), np.sort(order[middle:]).tolist()


def part_of(result: Result, items: Sequence[int]) -> Result:
    """The result on some of its items, with the primary metric alone.

    What was ranked or learnt stays as it was: a query is still searched in the whole corpus.

    Args:
        result: The result on all items.
        items: Numbers of the items of the part, from 0.

    Raises:
        InputError: The task has no value per item.
    """
    from scipy.stats import spearmanr

    names = ("similarity", "score") if result.task == "sts" else (result.primary,)
    values = result.per_item or {}
    if any(name not in values for name in names):
        problem = f"the task {result.task!r} has no value per item, so the loss has no interval"
        raise InputError(problem, remedy="use rows for another task, such as pairs")
    part = {name: values[name][list(items)] for name in names}
    if result.task == "sts":
        score = float(spearmanr(part["score"], part["similarity"])[0])  # pyright: ignore[reportArgumentType]
    else:
        score = float(part[result.primary].mean())
    return replace(
        result, metrics={result.primary: score}, n=len(items), per_item=part, interval=None, differences=None
    )

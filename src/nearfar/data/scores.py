"""Scores as losses need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def with_unit_scores(rows: Dataset) -> Dataset:
    """The same rows with the column `score` between 0 and 1.

    Scores in this range are unchanged; others are scaled so that the minimum is 0 and the maximum 1.

    Raises:
        InputError: All scores are equal.
    """
    import numpy as np

    scores = np.asarray(rows["score"], dtype=np.float64)
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        raise InputError(
            f"expected different scores, got {low:g} in every row", field="score", remedy="add pairs with other scores"
        )
    if low >= 0 and high <= 1:
        return rows
    return rows.remove_columns("score").add_column("score", ((scores - low) / (high - low)).tolist())

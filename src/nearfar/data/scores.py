"""Scores as the losses want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def with_unit_scores(rows: Dataset) -> Dataset:
    """The same rows with the `score` column between 0 and 1.

    Scores that lie there already stay as they are; others are stretched so that the lowest becomes 0, the highest 1.

    Raises:
        InputError: all scores are equal.
    """
    import numpy as np

    scores = np.asarray(rows["score"], dtype=np.float64)
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        raise InputError(f"every row has {low:g}", field="score", remedy="give pairs that differ in their score")
    if low >= 0 and high <= 1:
        return rows
    return rows.remove_columns("score").add_column("score", ((scores - low) / (high - low)).tolist())

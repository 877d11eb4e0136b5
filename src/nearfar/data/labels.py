"""Labels as the losses want them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def with_integer_labels(rows: Dataset) -> Dataset:
    """The same rows with the `label` column as integers 0, 1, ..., in sorted order of the labels.

    Raises:
        InputError: fewer than two labels have two texts or more, so that nothing attracts.
    """
    import numpy as np

    _, ids, counts = np.unique(np.asarray(rows["label"]), return_inverse=True, return_counts=True)
    if (counts >= 2).sum() < 2:
        raise InputError(
            f"{len(counts)} labels, of which {(counts >= 2).sum()} have two texts or more",
            field="label",
            remedy="give at least two labels with at least two texts each",
        )
    return rows.remove_columns("label").add_column("label", ids.tolist())

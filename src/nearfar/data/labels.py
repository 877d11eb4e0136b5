"""Labels as losses and prompts need them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset


def with_integer_labels(rows: Dataset) -> Dataset:
    """The same rows with the column `label` as integers 0, 1, ..., in sorted order of the labels.

    Raises:
        InputError: Fewer than two labels have two or more texts, so that there are no positive pairs.
    """
    import numpy as np

    _, ids, counts = np.unique(np.asarray(rows["label"]), return_inverse=True, return_counts=True)
    if (counts >= 2).sum() < 2:
        raise InputError(
            f"expected at least two labels with at least two texts each, got {(counts >= 2).sum()} of {len(counts)}",
            field="label",
            remedy="add texts",
        )
    return rows.remove_columns("label").add_column("label", ids.tolist())


def in_words(label: str) -> str:
    """A label in words: `orderDrink`, `order_drink` and `order-drink` become `order drink`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    words = " ".join(re.split(r"[\s_\-/]+", spaced)).strip()
    return words.lower() if spaced != label else words

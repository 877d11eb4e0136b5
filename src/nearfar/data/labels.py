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


def with_text_numbers(rows: Dataset) -> Dataset:
    """The same rows with a column `label`: the number of the row, then that of the text in each column.

    Equal texts have equal numbers, in whatever row or column they are.

    Args:
        rows: Columns of texts.
    """
    numbers: dict[str, int] = {}
    columns = [[numbers.setdefault(text, len(numbers)) for text in rows[name][:]] for name in rows.column_names]
    labels = [list(row) for row in zip(range(len(rows)), *columns, strict=True)]
    return rows.add_column("label", labels)  # pyright: ignore[reportCallIssue]


def in_words(label: str) -> str:
    """A label in words: `orderDrink`, `order_drink` and `order-drink` become `order drink`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", label)
    words = " ".join(re.split(r"[\s_\-/]+", spaced)).strip()
    return words.lower() if spaced != label else words

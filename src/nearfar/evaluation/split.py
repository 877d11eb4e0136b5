"""Splits labelled rows so that no text is on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from nearfar.errors import InputError
from nearfar.models.encoding import check_texts


def split_by_text(
    texts: Sequence[str], labels: Sequence[Any], *, test_share: float = 0.25, seed: int = 0
) -> tuple[list[int], list[int]]:
    """Numbers of training rows and test rows, stratified by label, with all copies of a text on one side.

    The share is a fraction of the distinct texts; there are at least as many test texts as labels. A text with several
    labels is stratified by its first label.

    Raises:
        InputError: There are fewer than two labels, or a label has fewer than two different texts.
    """
    label_of: dict[str, str] = {}
    check_texts(texts)
    for text, label in zip(texts, label_names(labels), strict=True):
        label_of.setdefault(text.strip(), label)
    counts = Counter(label_of.values())
    for label in dict.fromkeys(label_names(labels)):
        if counts[label] < 2:
            raise InputError(
                f"expected at least 2 different texts with the label {label!r}, for training and for testing, got 1",
                field="label",
                remedy="add texts with this label, remove it, or pass separate training rows",
            )
    if len(counts) < 2:
        raise InputError(f"expected at least 2 labels, got {len(counts)}", field="label")
    names = list(label_of)
    size = max(len(counts), round(test_share * len(names)))
    learn, _ = train_test_split(
        np.arange(len(names)), test_size=size, stratify=[label_of[name] for name in names], random_state=seed
    )
    learnt = {names[row] for row in learn}
    sides: tuple[list[int], list[int]] = ([], [])
    for row, text in enumerate(texts):
        sides[text.strip() not in learnt].append(row)
    return sides


def label_names(labels: Sequence[Any]) -> list[str]:
    """Labels as text. Raises an InputError if a row has none."""
    for row, label in enumerate(labels, start=1):
        if label is None:
            raise InputError(f"row {row} has no label", field="label", remedy="add it, or remove the row")
    return [str(label) for label in labels]

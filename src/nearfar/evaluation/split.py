"""Splitting labelled rows without letting a text sit on both sides."""

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
    """Row numbers to learn from and to test on, stratified by label, all copies of a text on one side.

    The share counts different texts; the test side gets at least as many as there are labels. A text that occurs under
    several labels is stratified by its first.

    Raises:
        InputError: Fewer than two labels, or a label with fewer than two different texts.
    """
    label_of: dict[str, str] = {}
    check_texts(texts)
    for text, label in zip(texts, label_names(labels), strict=True):
        label_of.setdefault(text.strip(), label)
    counts = Counter(label_of.values())
    for label in dict.fromkeys(label_names(labels)):
        if counts[label] < 2:
            raise InputError(
                f"the label {label!r} has fewer than 2 different texts, so it cannot be both learnt and tested",
                field="label",
                remedy="add texts with it, drop it, or pass training rows of their own",
            )
    if len(counts) < 2:
        raise InputError(f"there are {len(counts)} labels, and telling apart needs 2", field="label")
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
    """Labels as text; an InputError where a row has none."""
    for row, label in enumerate(labels, start=1):
        if label is None:
            raise InputError(f"row {row} has no label", field="label", remedy="fill it or drop the row")
    return [str(label) for label in labels]

"""Reads files of labels: the texts to predict, and rows with labels to count."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from nearfar.errors import InputError

__all__ = ["counted_labels", "read_labels"]


def read_labels(source: str | Path) -> list[str]:
    """The label texts of a file: one on each line of plain text, or the column `text` of a table.

    Raises:
        InputError: The file cannot be read, or a label is listed twice.
    """
    from nearfar.data import load
    from nearfar.data.places import places

    labels = list(load(source, schema="sentences")["text"])
    first: dict[str, int] = {}
    for row, label in enumerate(labels):
        if first.setdefault(label, row) != row:
            place = places(source).at(row)
            problem = f"the label {label!r} is listed twice"
            raise InputError(problem, file=place["file"], line=place.get("line"), remedy="remove one of them")
    return labels


def counted_labels(source: str | Path) -> Counter[str]:
    """The number of rows with each label, of rows with the column `labels` (lists) or `label`.

    Raises:
        InputError: The rows cannot be read, or have neither column.
    """
    from nearfar.data import load
    from nearfar.data.readers import columns_of

    if "labels" in columns_of(source):
        return Counter(label for row in load(source, schema="label texts")["labels"] for label in dict.fromkeys(row))
    return Counter(map(str, load(source, schema="labelled")["label"]))

"""Rows made of rows: a text as its own positive, and several positives of an anchor in one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset


def paired_with_themselves(rows: Dataset) -> Dataset:
    """Texts as pairs, each its own positive: the column `text` becomes `anchor` and `positive`."""
    return rows.rename_column("text", "anchor").add_column("positive", list(rows["text"]))  # pyright: ignore[reportCallIssue]


def with_several_positives(rows: Dataset, most: int) -> tuple[Dataset, int]:
    """Join pairs with the same anchor, so that a row contains up to `most` positives.

    An anchor with more positives gets several rows. For an anchor with fewer, positives are repeated in turn, so that
    every column is filled. Negatives are those of the first joined row.

    Args:
        rows: Columns `anchor`, `positive`, and negatives if any.
        most: Maximum number of positives in a row, 1 or more.

    Returns:
        Rows with the columns `anchor`, `positive`, `positive_2`, ..., then the negatives; and the number of columns of
        positives, which is less than `most` if no anchor has as many.
    """
    from datasets import Dataset

    negatives = [name for name in rows.column_names if name not in ("anchor", "positive")]
    by_anchor: dict[str, dict[str, int]] = {}
    for index, (anchor, positive) in enumerate(zip(rows["anchor"], rows["positive"], strict=True)):
        by_anchor.setdefault(anchor, {}).setdefault(positive, index)
    found = min(most, max((len(positives) for positives in by_anchor.values()), default=1))
    if found == 1:
        return rows, 1
    names = ["positive", *(f"positive_{k}" for k in range(2, found + 1))]
    columns: dict[str, list[str]] = {name: [] for name in ("anchor", *names)}
    kept = []
    for anchor, positives in by_anchor.items():
        texts = list(positives)
        for start in range(0, len(texts), found):
            group = texts[start : start + found]
            columns["anchor"].append(anchor)
            for k, name in enumerate(names):
                columns[name].append(group[k % len(group)])
            kept.append(positives[group[0]])
    chosen = rows.select(kept)
    return Dataset.from_dict({**columns, **{name: list(chosen[name]) for name in negatives}}), found

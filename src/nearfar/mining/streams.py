"""Annotated and other texts as streams of equal length, for semi-supervised training."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import DatasetDict

__all__ = ["UNLABELLED", "semi_supervised"]

#: The name of the stream of texts without annotation.
UNLABELLED = "unlabelled texts"


def semi_supervised(
    texts: Mapping[str, Sequence[str]], annotations: Mapping[str, Sequence[Hashable]], least: int = 1
) -> DatasetDict:
    """Texts paired with themselves: a dataset for each given one, and one of all texts without annotation.

    The annotated datasets together are one stream, the other texts a second one; the rows of the shorter one are
    repeated, so that both give about as many batches.

    Args:
        texts: By dataset.
        annotations: Of each text; empty ones count as none.
        least: With fewer texts than this that have no annotation, they stay in their datasets.

    Returns:
        Rows `anchor`, `positive` (the same text) and `label`: the number of the row, counted through all datasets.

    Raises:
        InputError: No text is annotated, or an annotated dataset has the name `UNLABELLED`.
    """
    from datasets import Dataset, DatasetDict

    flat = [text for own in texts.values() for text in own]
    known = [bool(annotation) for name in texts for annotation in annotations[name]]
    if not any(known):
        problem = "expected annotated texts, got none"
        raise InputError(problem, field="acts", remedy="give acts, slots, frames or labels, or map them with --columns")
    other = [row for row, annotated in enumerate(known) if not annotated]
    if len(other) < least:
        other = []
    apart, start = set(other), 0
    rows: dict[str, list[int]] = {}
    for name, own in texts.items():
        rows[name] = [row for row in range(start, start + len(own)) if row not in apart]
        start += len(own)
    if other:
        if rows.get(UNLABELLED):
            raise InputError(f"the name {UNLABELLED!r} is reserved", field="--data", remedy="rename the dataset")
        labelled = len(flat) - len(other)
        rows = {name: _repeated(own, len(other) / labelled) for name, own in rows.items()}
        rows[UNLABELLED] = _repeated(other, labelled / len(other))

    def paired(own: list[int]) -> Dataset:
        chosen = [flat[row] for row in own]
        return Dataset.from_dict({"anchor": chosen, "positive": chosen, "label": own})

    return DatasetDict({name: paired(own) for name, own in rows.items() if own})


def _repeated(rows: list[int], times: float) -> list[int]:
    """The rows so many times, at least once; a part of a time is a random choice of them."""
    whole, more = divmod(round(len(rows) * max(times, 1.0)), max(len(rows), 1))
    return rows * whole + [rows[at] for at in torch.randperm(len(rows))[:more].tolist()]

"""Faults of labelled texts: duplicates, and labels that the other texts contradict."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.data.same_text import NumberedTexts
from nearfar.inspection.repair.faults import Fault, RepairOptions
from nearfar.inspection.repair.other_labels import other_labels
from nearfar.mining.neighbours import nearest
from nearfar.models.encoding import encode

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.repair.judging import Scorer

__all__ = ["faults_of_labels"]

#: Near-duplicates are looked for among so many texts.
_NEAREST = 10


def faults_of_labels(
    texts: Sequence[str],
    labels: Sequence[Any],
    encoder: SentenceTransformer,
    options: RepairOptions,
    judge: Scorer | None = None,
) -> tuple[list[Fault], int]:
    """The faults of labelled texts, of duplicates the later rows; and the number of rows whose label was not checked.

    A label is wrong if a classifier that learns from the other texts holds another one for much more likely, see
    `other_labels`, and the judge, if there is one, scores the other label's name above this one's.

    Args:
        texts: One per row.
        labels: Their labels.
        encoder: The encoder.
        options: See there.
        judge: Confirms what the encoder suspects.
    """
    vectors = encode(encoder, texts, batch_size=options.batch_size)
    numbers = NumberedTexts()
    number = np.array([numbers.add(text) for text in texts])
    found = other_labels(vectors, labels, number, times=options.times, seed=options.seed)
    suspects = found.suspects
    if judge is not None and suspects:
        asked = [texts[row] for row in suspects]
        own = judge(asked, [str(labels[row]) for row in suspects])
        other = judge(asked, [str(value) for value, _ in suspects.values()])
        suspects = {row: each for (row, each), a, b in zip(suspects.items(), own, other, strict=True) if b > a}
    wrong = [
        Fault(row, "wrong_labels", f"{value} is {_times(ratio)} times as likely by the other texts", "label", value)
        for row, (value, ratio) in suspects.items()
    ]
    # Equal texts are passed over, so more are read.
    rows, cosines = nearest(torch.from_numpy(vectors), _NEAREST + int(np.bincount(number).max()))
    duplicates = _duplicates(labels, number, rows.numpy(), cosines.numpy(), suspects, options.near_duplicate)
    return [*wrong, *duplicates], found.unchecked


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio < 100 else "over 100"


def _duplicates(
    labels: Sequence[Any],
    number: np.ndarray,
    rows: np.ndarray,
    cosines: np.ndarray,
    suspects: Container[int],
    least: float,
) -> list[Fault]:
    """Rows that repeat an earlier one: equal texts, whatever their labels, and near-duplicates with the same label."""
    found: list[Fault] = []
    first: dict[int, int] = {}
    for row, of in enumerate(number.tolist()):
        if row in suspects:
            continue
        earlier = first.setdefault(of, row)
        if earlier != row:
            what = "equal to" if labels[row] == labels[earlier] else "contradicts"
            found.append(Fault(row, "duplicates", f"{what} row {earlier + 1}"))
            continue
        for near, cosine in zip(rows[row].tolist(), cosines[row].tolist(), strict=True):
            if cosine < least:
                break
            if near < row and near not in suspects and labels[near] == labels[row] and number[near] != of:
                found.append(Fault(row, "near_duplicates", f"near-duplicate of row {near + 1}", score=cosine))
                break
    return found

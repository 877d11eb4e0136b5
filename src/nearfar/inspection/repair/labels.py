"""Faults of labelled texts: duplicates, and labels that the nearest texts contradict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.data.same_text import NumberedTexts
from nearfar.inspection.repair.faults import Fault, RepairOptions
from nearfar.mining.neighbours import nearest
from nearfar.models.encoding import encode

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.repair.judging import Scorer

__all__ = ["faults_of_labels"]


def faults_of_labels(
    texts: Sequence[str],
    labels: Sequence[Any],
    encoder: SentenceTransformer,
    options: RepairOptions,
    judge: Scorer | None = None,
) -> list[Fault]:
    """The faults of labelled texts; of duplicates the later rows.

    A label is wrong if few of the nearest other texts have it and most have one other label, and the judge, if there
    is one, scores the other label's name above this one's.

    Args:
        texts: One per row.
        labels: Their labels.
        encoder: The encoder.
        options: See there.
        judge: Confirms what the encoder suspects.
    """
    vectors = torch.from_numpy(encode(encoder, texts, batch_size=options.batch_size))
    numbers = NumberedTexts()
    number = np.array([numbers.add(text) for text in texts])
    # More are read, as equal texts have no vote.
    most = int(np.bincount(number).max())
    rows, cosines = nearest(vectors, options.neighbours + most)
    rows, cosines = rows.numpy(), cosines.numpy()
    suspects = _suspects(labels, number, rows, options)
    if judge is not None and suspects:
        asked = [texts[row] for row in suspects]
        own = judge(asked, [str(labels[row]) for row in suspects])
        other = judge(asked, [str(value) for value, _ in suspects.values()])
        suspects = {row: each for (row, each), a, b in zip(suspects.items(), own, other, strict=True) if b > a}
    wrong = [
        Fault(row, "wrong_labels", f"{share:.0%} of its nearest texts have the label {value}", "label", value)
        for row, (value, share) in suspects.items()
    ]
    return [*wrong, *_duplicates(labels, number, rows, cosines, suspects, options)]


def _suspects(
    labels: Sequence[Any], number: np.ndarray, rows: np.ndarray, options: RepairOptions
) -> dict[int, tuple[Any, float]]:
    """By row, the label of most neighbours, and how many of them have it."""
    found = {}
    for row, near in enumerate(rows):
        voters = near[number[near] != number[row]][: options.neighbours].tolist()
        votes = Counter(labels[each] for each in voters)
        if not votes:
            continue
        value, count = votes.most_common(1)[0]
        own, share = votes[labels[row]] / len(voters), count / len(voters)
        if value != labels[row] and own <= options.own_share and share >= options.other_share:
            found[row] = value, share
    return found


def _duplicates(
    labels: Sequence[Any],
    number: np.ndarray,
    rows: np.ndarray,
    cosines: np.ndarray,
    suspects: dict[int, tuple[Any, float]],
    options: RepairOptions,
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
            if cosine < options.near_duplicate:
                break
            if near < row and near not in suspects and labels[near] == labels[row] and number[near] != of:
                found.append(Fault(row, "near_duplicates", f"near-duplicate of row {near + 1}", score=cosine))
                break
    return found

"""Faults of pairs: duplicates, positives that do not match, and negatives that do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from nearfar.data.same_text import NumberedTexts
from nearfar.inspection.duplicates import repeated_rows
from nearfar.inspection.repair.faults import Fault, RepairOptions
from nearfar.models.encoding import Kind, encode

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

    from nearfar.inspection.repair.judging import Scorer

__all__ = ["faults_of_pairs"]

# Similarities in memory at a time: 32 MB.
_BLOCK = 2**23
# Random pairs that a judge scores at least: with fewer, a high quantile is that of a single pair.
_RANDOM_PAIRS = 100


def faults_of_pairs(
    rows: Dataset, encoder: SentenceTransformer, options: RepairOptions, judge: Scorer | None = None
) -> list[Fault]:
    """The faults of pairs; of duplicates the later rows.

    A negative is a false negative if it is a positive of the same anchor in any row, or if encoder and judge (the
    encoder alone without a judge) score it above the row's positive. A positive is wrong if it is far down among all
    positives, and the judge, if there is one, scores it like a random pair.

    Args:
        rows: Columns `anchor`, `positive`, and negatives if any.
        encoder: The encoder.
        options: See there.
        judge: Confirms what the encoder suspects.
    """
    anchors, positives = list(rows["anchor"]), list(rows["positive"])
    columns = [name for name in rows.column_names if name == "negative" or name.startswith("negative_")]
    first, a = _encoded(encoder, anchors, "query", options.batch_size)
    second, b = _encoded(encoder, positives, "document", options.batch_size)
    own = np.einsum("nd,nd->n", first[a], second[b])
    repeats = repeated_rows(rows, len(rows)).examples
    exact = [Fault(row, "duplicates", f"equal to row {earlier + 1}") for row, earlier, _ in repeats]
    repeated = {each.row for each in exact}
    near = [each for each in _near_duplicates(first[a], second[b], options) if each.row not in repeated]
    wrong = _wrong_positives(anchors, positives, first[a], second, own, options, judge)
    skipped = repeated | {each.row for each in (*near, *wrong)}
    found = [*exact, *near, *(each for each in wrong if each.row not in repeated)]
    matching = _Pairs(anchors, positives)
    for column in columns:
        found += _false_negatives(rows, column, first[a], own, encoder, options, judge, matching, skipped)
    return found


def _encoded(
    encoder: SentenceTransformer, texts: Sequence[str], kind: Kind, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of the different texts, and for each text the number of its vector."""
    place: dict[str, int] = {}
    numbers = np.array([place.setdefault(text, len(place)) for text in texts])
    return encode(encoder, list(place), batch_size=batch_size, kind=kind), numbers


def _near_duplicates(first: np.ndarray, second: np.ndarray, options: RepairOptions) -> list[Fault]:
    """Rows of which both texts are near-duplicates of those of an earlier row; none if these are kept."""
    if options.action("near_duplicates") == "keep":
        return []
    found, step = [], max(1, _BLOCK // len(first))
    a, b = torch.from_numpy(first), torch.from_numpy(second)
    for start in range(0, len(a), step):
        both = torch.minimum(a[start : start + step] @ a.T, b[start : start + step] @ b.T)
        value, earlier = both.tril(diagonal=start - 1).max(1)
        for at in (value >= options.near_duplicate).nonzero().flatten().tolist():
            reason = f"near-duplicate of row {int(earlier[at]) + 1}"
            found.append(Fault(start + at, "near_duplicates", reason, score=float(value[at])))
    return found


def _wrong_positives(
    anchors: Sequence[str],
    positives: Sequence[str],
    first: np.ndarray,
    documents: np.ndarray,
    own: np.ndarray,
    options: RepairOptions,
    judge: Scorer | None,
) -> list[Fault]:
    above, step = np.empty(len(first)), max(1, _BLOCK // len(documents))
    for start in range(0, len(first), step):
        block = slice(start, start + step)
        above[block] = (first[block] @ documents.T > own[block, None] + 1e-6).mean(1)
    suspects: list[int] = np.flatnonzero(above > options.wrong_rank).tolist()
    scores: dict[int, tuple[float, float]] = {row: (float(own[row]), float("nan")) for row in suspects}
    if judge is not None and suspects:
        chance = _chance(anchors, positives, suspects, options, judge)
        judged = judge([anchors[row] for row in suspects], [positives[row] for row in suspects])
        scores = {row: (float(s), chance) for row, s in zip(suspects, judged, strict=True) if s <= chance}
    return [
        Fault(
            row,
            "wrong_positives",
            f"{above[row]:.0%} of all positives are more similar to the anchor",
            "positive",
            score=score,
            other=None if np.isnan(other) else other,
        )
        for row, (score, other) in scores.items()
    ]


def _chance(
    anchors: Sequence[str], positives: Sequence[str], suspects: Sequence[int], options: RepairOptions, judge: Scorer
) -> float:
    """The score that few random pairs exceed; NaN if the judge scored none of them.

    Each suspect's anchor is paired with a positive of another row; anchors of random rows are added to fewer suspects.
    """
    rng = np.random.default_rng(options.seed)
    shift = rng.integers(1, len(anchors), len(suspects))
    more = max(0, _RANDOM_PAIRS - len(suspects))
    first = np.concatenate([suspects, rng.integers(0, len(anchors), more)])
    second = (first + np.concatenate([shift, rng.integers(1, len(anchors), more)])) % len(anchors)
    pairs: list[tuple[int, int]] = list(zip(first.tolist(), second.tolist(), strict=True))
    scores = judge([anchors[row] for row, _ in pairs], [positives[row] for _, row in pairs])
    return float("nan") if np.isnan(scores).all() else float(np.nanquantile(scores, options.chance))


class _Pairs:
    """The pairs of all rows, by their texts."""

    def __init__(self, anchors: Sequence[str], positives: Sequence[str]) -> None:
        self._texts = NumberedTexts()
        pairs = zip(anchors, positives, strict=True)
        self._pairs = {(self._texts.add(anchor), self._texts.add(positive)) for anchor, positive in pairs}

    def __contains__(self, pair: tuple[str, str]) -> bool:
        return (self._texts.find(pair[0]), self._texts.find(pair[1])) in self._pairs


def _false_negatives(
    rows: Dataset,
    column: str,
    first: np.ndarray,
    own: np.ndarray,
    encoder: SentenceTransformer,
    options: RepairOptions,
    judge: Scorer | None,
    matching: _Pairs,
    skipped: set[int],
) -> list[Fault]:
    anchors, positives, negatives = (list(rows[name]) for name in ("anchor", "positive", column))
    vectors, numbers = _encoded(encoder, negatives, "document", options.batch_size)
    cosines = np.einsum("nd,nd->n", first, vectors[numbers])
    known = {row for row, pair in enumerate(zip(anchors, negatives, strict=True)) if pair in matching}
    found = [Fault(row, "false_negatives", "a positive of the same anchor", column) for row in sorted(known - skipped)]
    suspects: list[int] = [row for row in np.flatnonzero(cosines > own + 1e-6).tolist() if row not in known | skipped]
    scores = own[suspects], cosines[suspects]
    if judge is not None and suspects:
        asked = [anchors[row] for row in suspects]
        scores = judge(asked, [positives[r] for r in suspects]), judge(asked, [negatives[r] for r in suspects])
    who = "the encoder scores" if judge is None else "encoder and judge score"
    for row, score, other in zip(suspects, *scores, strict=True):
        if other > score:
            found.append(
                Fault(
                    row,
                    "false_negatives",
                    f"{who} it above the positive",
                    column,
                    score=float(score),
                    other=float(other),
                )
            )
    return found

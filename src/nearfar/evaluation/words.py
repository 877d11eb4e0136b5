"""Errors of transcripts, in words."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["word_error_rate", "word_errors"]


def word_errors(told: Sequence[str], gold: Sequence[str]) -> int:
    """The insertions, deletions and replacements of words that turn `told` into `gold`: the Levenshtein distance."""
    row = list(range(len(gold) + 1))
    for number, word in enumerate(told, 1):
        diagonal, row[0] = row[0], number
        for place, right in enumerate(gold, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (word != right))
    return row[-1]


def word_error_rate(told: Sequence[str], gold: Sequence[str]) -> float:
    """The word errors of all transcripts over the number of right words; may be above 1. Upper case counts as lower."""
    pairs = [(one.lower().split(), right.lower().split()) for one, right in zip(told, gold, strict=True)]
    return sum(word_errors(*pair) for pair in pairs) / max(1, sum(len(right) for _, right in pairs))

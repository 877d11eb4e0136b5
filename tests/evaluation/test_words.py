"""Errors of transcripts, counted by hand."""

from __future__ import annotations

import pytest

from nearfar.evaluation.words import word_error_rate, word_errors


@pytest.mark.parametrize(
    ("told", "gold", "errors"),
    [
        ("", "", 0),
        ("a b c", "a b c", 0),
        ("", "a b", 2),
        ("a b", "", 2),
        ("a x c", "a b c", 1),
        ("a c", "a b c", 1),
        ("b c a", "a b c", 2),
        ("x y z w", "a b", 4),
    ],
)
def test_insertions_deletions_and_replacements(told: str, gold: str, errors: int) -> None:
    assert word_errors(told.split(), gold.split()) == errors


def test_the_rate_is_over_all_words_and_ignores_case() -> None:
    assert word_error_rate(["Turn it OFF", "no"], ["turn it off now please", "yes"]) == 3 / 6
    assert word_error_rate(["a b c"], ["a"]) == 2
    assert word_error_rate(["a"], [""]) == 1

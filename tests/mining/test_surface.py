"""Surface similarities worked by hand, against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from nearfar.errors import InputError
from nearfar.mining import jaccard, levenshtein, surface_of

GUITAR = [
    "A man is playing a guitar",
    "a man is not playing a guitar",
    "someone strums an instrument",
    "a woman is playing a flute",
]


@pytest.mark.parametrize(
    ("make", "expected"),
    [(jaccard, [1, 5 / 6, 0, 3 / 7]), (levenshtein, [1, 6 / 7, 0, 4 / 6])],
    ids=["jaccard", "levenshtein"],
)
def test_surface_worked_by_hand(make, expected) -> None:
    everything = np.tile(np.arange(4), (4, 1))
    found = make(GUITAR)(np.arange(4), everything)
    assert found[0].tolist() == pytest.approx(expected)
    assert found == pytest.approx(found.T)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("make", [jaccard, levenshtein, lambda texts: jaccard(texts, idf=True)])
def test_surface_of_texts_without_words(make) -> None:
    surface = make(["...", "?", "word"])
    assert surface(np.array([0, 0]), np.array([[0, 1, 2]] * 2)).tolist() == [[1, 1, 0]] * 2
    with pytest.raises(InputError, match=r"^text: "):
        make(["...", "?"])


def test_rare_words_in_common_count_more_than_frequent_ones() -> None:
    texts = ["the zebra", "the cat", "a zebra", *(f"the {word}" for word in ("dog", "house", "tree", "car", "sea"))]
    plain, weighted = (jaccard(texts, idf)(np.array([0]), np.array([[1, 2]]))[0] for idf in (False, True))
    assert plain[0] == plain[1]
    assert weighted[0] < plain[0] < weighted[1]


def test_surfaces_by_name() -> None:
    rows, candidates = np.array([0]), np.array([[1, 2, 3]])
    for name, made in {
        "jaccard": jaccard(GUITAR),
        "idf": jaccard(GUITAR, idf=True),
        "levenshtein": levenshtein(GUITAR),
    }.items():
        np.testing.assert_array_equal(surface_of(name, GUITAR)(rows, candidates), made(rows, candidates))  # type: ignore[arg-type]


def test_levenshtein_equals_the_plain_recursion() -> None:
    words = np.random.default_rng(0).choice(list("abc"), size=(12, 7))
    texts = [" ".join(row[: 1 + i % 7]) for i, row in enumerate(words)]

    def edits(a: list[str], b: list[str]) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))

    found = levenshtein(texts)(np.arange(12), np.tile(np.arange(12), (12, 1)))
    split = [text.split() for text in texts]
    assert found == pytest.approx(np.array([[1 - edits(a, b) / max(len(a), len(b)) for b in split] for a in split]))


def test_longer_texts_are_truncated_for_edit_distances() -> None:
    rows, candidates = np.array([0]), np.array([[1, 2]])
    texts = ["a cat sits here", "a cat runs away", "a dog sits here"]
    assert levenshtein(texts, limit=2)(rows, candidates).tolist() == [[1, 0.5]]
    for limit in (0, 10_001):
        with pytest.raises(ValueError, match="limit"):
            levenshtein(texts, limit=limit)

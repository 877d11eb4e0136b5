"""Views of texts: stop words, one change of the words, synonyms, and never an empty text."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from nearfar.data.text_views import STOP_WORDS, TextViews, read_synonyms
from nearfar.errors import InputError

TEXT = "The big dog runs over the green grass"


def views(of: TextViews, number: int = 300) -> list[str]:
    return [of.strong(TEXT, random.Random(seed)) for seed in range(number)]


def test_weak_views_lose_stop_words_with_their_probability() -> None:
    found = Counter(TextViews(0.8).weak(TEXT, random.Random(seed)) for seed in range(500))
    assert set(found) == {TEXT, "big dog runs green grass"}
    assert found[TEXT] / 500 == pytest.approx(0.2, abs=0.06)
    assert {"the", "over"} <= STOP_WORDS


def test_a_text_of_stop_words_alone_stays() -> None:
    assert TextViews(1.0).weak("What is it?", random.Random(0)) == "What is it?"


def test_strong_views_swap_or_delete_words() -> None:
    words = Counter(TEXT.split())
    kinds = Counter()
    for found in views(TextViews(0.0)):
        kept = Counter(found.split())
        assert not kept - words
        kinds["swap" if kept == words and found != TEXT else "deletion" if kept != words else "same"] += 1
    # Two of three are swaps; of the deletions, 0.9^8 = 43% remove nothing.
    assert kinds["swap"] / 300 == pytest.approx(2 / 3, abs=0.09)
    assert kinds["deletion"] / 300 == pytest.approx(0.57 / 3, abs=0.08)


def test_the_generator_decides_the_view() -> None:
    assert views(TextViews(), 20) == views(TextViews(), 20)


@pytest.mark.parametrize("text", ["", "dog", "the"])
def test_short_texts_are_never_emptied(text: str) -> None:
    for seed in range(200):
        assert TextViews(0.8).strong(text, random.Random(seed)) == text


def test_synonyms_replace_one_word(tmp_path: Path) -> None:
    file = tmp_path / "synonyms.txt"
    file.write_text("big, large ,huge\n\nDog, hound\n")
    synonyms = read_synonyms(file)
    assert synonyms == {"big": ("large", "huge"), "large": ("big", "huge"), "huge": ("big", "large")} | {
        "dog": ("hound",),
        "hound": ("dog",),
    }
    new = [set(found.split()) & {"large", "huge", "hound"} for found in views(TextViews(0.0, synonyms))]
    assert max(map(len, new)) == 1
    assert sum(map(len, new)) / 300 == pytest.approx(0.4, abs=0.09)
    assert read_synonyms(None) == {}


def test_a_line_with_one_word_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "synonyms.txt"
    file.write_text("big, large\nsmall\n")
    with pytest.raises(InputError) as caught:
        read_synonyms(file)
    assert (caught.value.line, caught.value.field) == (2, "synonyms")

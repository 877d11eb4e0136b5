from __future__ import annotations

from nearfar.mining.pseudo_labels import word_labels
from nearfar.models.word_encoder import words_of


def test_words_without_punctuation_repetition_and_the_most_frequent() -> None:
    texts = ["The cat, the dog!", "the sea", "A cat and the cat"]
    assert word_labels(texts, words_of, skip=1) == [["cat", "dog"], ["sea"], ["a", "cat", "and"]]
    assert word_labels(texts, words_of, skip=0)[1] == ["the", "sea"]
    assert word_labels(texts, words_of, skip=99) == [[], [], []]

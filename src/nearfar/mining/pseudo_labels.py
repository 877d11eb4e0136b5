"""Words of a text as labels of it, for training without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

__all__ = ["word_labels"]


def word_labels(texts: Sequence[str], words_of: Callable[[str], list[str]], *, skip: int = 40) -> list[list[str]]:
    """The different words of each text, without the most frequent words.

    Args:
        texts: The texts.
        words_of: From a text to its words.
        skip: Number of most frequent words that are no labels: they say nothing, and are in nearly every text.
    """
    split = [words_of(text) for text in texts]
    counts = Counter(word for words in split for word in words)
    frequent = {word for word, _ in counts.most_common(skip)}
    return [list(dict.fromkeys(word for word in words if word not in frequent)) for words in split]

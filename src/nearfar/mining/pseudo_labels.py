"""Words of a text as labels of it, for training without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from nearfar.errors import InputError
from nearfar.models.word_encoder import knows

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

__all__ = ["rows_with_labels", "word_labels"]


def word_labels(texts: Iterable[str], words_of: Callable[[str], list[str]], *, skip: int = 40) -> list[list[str]]:
    """The different words of each text, without the most frequent words.

    Args:
        texts: The texts.
        words_of: From a text to its words.
        skip: Number of most frequent words that are not used: they are in nearly every text, and describe none.
    """
    split = [words_of(text) for text in texts]
    counts = Counter(word for words in split for word in words)
    frequent = {word for word, _ in counts.most_common(skip)}
    return [list(dict.fromkeys(word for word in words if word not in frequent)) for words in split]


def rows_with_labels(rows: Dataset, labels: Sequence[Sequence[str]], model: SentenceTransformer) -> Dataset:
    """The texts of rows that can be learned from, and `label`, the number of the row.

    These have at least one label, and a word that the model knows.

    Args:
        rows: Rows with `text`.
        labels: The labels of each row.
        model: The encoder.

    Raises:
        InputError: There are none.
    """
    used = [number for number, text in enumerate(rows["text"][:]) if labels[number] and knows(model, text)]
    if not used:
        raise InputError("no text has a label to learn from", field="text", remedy="use longer texts, or skip=0")
    return rows.select(used).select_columns(["text"]).add_column("label", used)  # pyright: ignore[reportCallIssue]

"""A small encoder of whole words, trained from scratch: texts by a convolution, labels by the mean of their words.

Both sides share one table of word vectors (Rethmeier, Augenstein 2020, CLESS, arXiv 2010.01061).
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["knows", "word_encoder", "words_of"]


def word_encoder(
    texts: Iterable[str], *, width: int = 100, window: int = 3, least: int = 2, most: int = 50_000
) -> SentenceTransformer:
    """A SentenceTransformer with new weights and the towers `query` (texts) and `document` (labels).

    A text is a convolution over its word vectors, the maximum over places, and a linear layer with ReLU; a label is the
    mean of its word vectors. Words that are not in the vocabulary are skipped. Of a text that has no other words the
    maximum, and so the vector, is not a number; see `knows`.

    Args:
        texts: Texts from which the vocabulary is learned: words in lower case.
        width: Dimensions of word vectors and of both sides.
        window: Words that a filter of the convolution sees.
        least: Times that a word must occur.
        most: Maximum number of words, the most frequent ones.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import CNN, Dense, Pooling, WordEmbeddings
    from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer

    counts = Counter(word for text in texts for word in words_of(text))
    known = [word for word, count in counts.most_common(most) if count >= least]
    # The first word is for padding. With a tenth of these lengths, a matcher of both sides hardly begins to learn.
    vectors = torch.randn(1 + len(known), width)
    vectors[0] = 0.0
    splitter = WhitespaceTokenizer(["", *known], stop_words=[], do_lower_case=True)
    words = WordEmbeddings(splitter, vectors, update_embeddings=True)
    text: list[Any] = [
        words,
        CNN(width, out_channels=width, kernel_sizes=[window]),
        Pooling(width, "max"),
        Dense(width, width, activation_function=torch.nn.ReLU()),
        Dense(width, width, activation_function=torch.nn.Identity()),
    ]
    return SentenceTransformer(modules=[Router.for_query_document(text, [words, Pooling(width, "mean")])]).eval()


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation around them, as the encoder reads them."""
    return [word for each in text.lower().split() if (word := each.strip(string.punctuation))]


def knows(model: SentenceTransformer, text: str) -> bool:
    """Whether an encoder of words knows at least one word of a text; other encoders read any text."""
    first: Any = model[0]
    reads = first.sub_modules["query"][0] if hasattr(first, "sub_modules") and "query" in first.sub_modules else first
    tokenizer: Any = getattr(reads, "tokenizer", None)
    return not hasattr(tokenizer, "word2idx") or bool(tokenizer.tokenize(text))

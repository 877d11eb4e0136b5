"""Documents of texts and images in turn, as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nearfar.models.answers import IGNORED
from nearfar.models.vision_language.places import IMAGE, predicted

__all__ = ["Document", "Part", "caption", "described", "interleaved", "pieces", "question"]

#: `{"text": ...}` or `{"image": ...}`; the other key may be there with None.
Part = Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """A document as tokens.

    Args:
        tokens: Tokens, with `IMAGE` for each image.
        labels: The tokens that are predicted; -100 elsewhere.
        images: The images, in order.
    """

    tokens: list[int]
    labels: list[int]
    images: list[Any]


def described(image: Any, text: str) -> list[Part]:
    """An image and its caption as the parts of a document."""
    return [{"image": image}, {"text": text}]


def caption(tokenizer: Any, text: str, max_length: int) -> list[int]:
    """A caption as the tokens from which its vector is made: like a document with one image."""
    return interleaved(tokenizer, [{"image": None}, {"text": text}], max_length).tokens


def interleaved(tokenizer: Any, parts: Iterable[Part], max_length: int) -> Document:
    """Tokens of a document: each image, with the text up to the next image, ends with the end-of-text token.

    Args:
        tokenizer: The tokenizer of the language model.
        parts: Texts and images in turn.
        max_length: Maximum number of tokens; what is longer is truncated, but for the images.
    """
    document, end = question(tokenizer, parts), tokenizer.eos_token_id
    tokens = document.tokens[:max_length]
    # The end of a truncated text is not its end.
    if end is not None and len(document.tokens) < max_length:
        tokens = [*tokens, end]
    labels = [token if one else IGNORED for token, one in zip(tokens, predicted(tokens, end), strict=True)]
    return Document(tokens, labels, document.images[: tokens.count(IMAGE)])


def question(tokenizer: Any, parts: Iterable[Part]) -> Document:
    """The same without an end: what the model continues. Nothing is predicted, nothing truncated."""
    end = tokenizer.eos_token_id
    # What the tokenizer puts before every text.
    tokens: list[int] = [token for token in tokenizer("")["input_ids"] if token != end]
    images: list[Any] = []
    for part in parts:
        if (text := part.get("text")) is not None:
            tokens += tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            continue
        if images and end is not None:
            tokens.append(end)
        tokens.append(IMAGE)
        images.append(part.get("image"))
    return Document(tokens, [IGNORED] * len(tokens), images)


def pieces(parts: Sequence[Part], most_images: int) -> list[list[Part]]:
    """A document in pieces of at most so many images; a text before the first image belongs to the first piece."""
    found: list[list[Part]] = [[]]
    count = 0
    for part in parts:
        if part.get("text") is None:
            if count == most_images:
                found.append([])
                count = 0
            count += 1
        found[-1].append(part)
    return found

"""When two texts count as equal: case and white space are ignored."""

from __future__ import annotations

import hashlib

__all__ = ["NumberedTexts", "plain_text"]


def plain_text(text: str) -> str:
    """A text without what does not count when texts are compared: case and white space."""
    return " ".join(text.lower().split())


class NumberedTexts:
    """Numbers texts from 0 in the order in which they are added; equal texts share a number. No text is kept.

    Example:
        >>> texts = NumberedTexts()
        >>> [texts.add(text) for text in ("Yes", "no", " yes ")]
        [0, 1, 0]
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, text: str) -> int:
        """The number of a text, which is new if no equal text was added before."""
        return self._numbers.setdefault(_key(text), len(self._numbers))

    def find(self, text: str) -> int | None:
        """The number of a text; None if no equal text was added."""
        return self._numbers.get(_key(text))


def _key(text: str) -> bytes:
    return hashlib.blake2b(plain_text(text).encode(), digest_size=16).digest()

"""Texts in which a reader sees nothing, and a model no token."""

from __future__ import annotations

from unicodedata import category

__all__ = ["FILL", "INVISIBLE", "Problem", "blank", "is_blank"]

FILL = "fill it, or remove the row"
#: What is wrong, and the remedy.
Problem = tuple[str, str]
#: White space, control and format characters (such as U+0000, U+200B, U+FEFF), and marks without a letter: tokenizers
#: drop them. As RE2 writes it, for Arrow.
INVISIBLE = r"^[\s\pZ\p{Cc}\p{Cf}\p{Mn}]*$"
_CATEGORIES = {"Zs", "Zl", "Zp", "Cc", "Cf", "Mn"}


def is_blank(text: str) -> bool:
    """Whether a text contains nothing but what `INVISIBLE` names."""
    if text[:1].isalnum():  # almost all texts
        return False
    return all(category(each) in _CATEGORIES for each in text)


def blank(text: str) -> Problem:
    """The problem of a text that is empty, white space or invisible."""
    what = "is empty" if not text else "contains only white space"
    return (what if not text.strip() else "contains only invisible characters"), FILL

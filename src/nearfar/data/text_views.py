"""Weak and strong views of English texts: without stop words, and with one easy change of the words.

Source: Wei, Zou 2019, EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nearfar.data.files import open_text
from nearfar.errors import InputError

__all__ = ["STOP_WORDS", "TextViews", "read_synonyms"]

_STOP_WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but by
can did do does doing down during each few for from further had has have having he her here hers herself him himself
his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other our ours
ourselves out over own same she should so some such than that the their theirs them themselves then there these they
this those through to too under until up very was we were what when where which while who whom why will with you your
yours yourself yourselves
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
#: Weights of the changes; without synonyms, those of the others.
CHANGES = {"synonym": 0.4, "swap": 0.4, "deletion": 0.2}
#: Probability with which a deletion removes each word.
DELETED = 0.1

Words = Sequence[str]


@dataclass(frozen=True)
class TextViews:
    """Views of texts; words are what spaces separate.

    Args:
        stop_words: Probability that a view has no stop words; a text of nothing else stays as it is.
        synonyms: The synonyms of a word in lower case, see `read_synonyms`.
    """

    stop_words: float = 0.8
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def weak(self, text: str, rng: random.Random) -> str:
        """The text, or the text without stop words."""
        if rng.random() >= self.stop_words:
            return text
        kept = [word for word in text.split() if _plain(word) not in STOP_WORDS]
        return " ".join(kept) or text

    def strong(self, text: str, rng: random.Random) -> str:
        """A weak view in which one word has a synonym, two words are swapped, or some words are deleted."""
        text = self.weak(text, rng)
        changes: dict[str, Callable[[Words, random.Random], Words]] = {"swap": _swapped, "deletion": _thinned}
        if self.synonyms:
            changes["synonym"] = self._with_synonym
        (change,) = rng.choices(list(changes), [CHANGES[name] for name in changes])
        return " ".join(changes[change](text.split(), rng)) or text

    def _with_synonym(self, words: Words, rng: random.Random) -> Words:
        known = [place for place, word in enumerate(words) if _plain(word) in self.synonyms]
        if not known:
            return words
        place = rng.choice(known)
        return [*words[:place], rng.choice(self.synonyms[_plain(words[place])]), *words[place + 1 :]]


def read_synonyms(path: str | Path | None) -> dict[str, tuple[str, ...]]:
    """The synonyms of each word, in lower case, from a text file with a group of synonyms in each line, and commas.

    Without a file there are none.

    Raises:
        InputError: The file cannot be read, or a line has fewer than two words.
    """
    found: dict[str, dict[str, None]] = {}
    if path is None:
        return {}
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            group = list(dict.fromkeys(word.strip().lower() for word in line.split(",") if word.strip()))
            if len(group) == 1:
                problem = f"expected at least two synonyms, got {group[0]!r}"
                raise InputError(problem, file=path, line=number, field="synonyms", remedy="separate them by commas")
            for word in group:
                found.setdefault(word, {}).update(dict.fromkeys(other for other in group if other != word))
    return {word: tuple(others) for word, others in found.items()}


def _plain(word: str) -> str:
    return word.strip(".,;:!?\"'()").lower()


def _swapped(words: Words, rng: random.Random) -> Words:
    if len(words) < 2:
        return words
    first, second = rng.sample(range(len(words)), 2)
    swapped = list(words)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    return swapped


def _thinned(words: Words, rng: random.Random) -> Words:
    return [word for word in words if rng.random() >= DELETED] or [rng.choice(words)] if words else words

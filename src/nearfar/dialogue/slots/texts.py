"""Slots in utterances: numbers, times, dates, amounts, e-mail addresses, links, codes and names become placeholders.

Without them, turns that do the same are different texts: every number that is read out, and every greeting with another
name. What is recognised is conservative, by rules (`slot_patterns`, `slot_names`) and not by a model;
`docs/dialogues.md` lists it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nearfar.dialogue.slots.names import NameFinder
from nearfar.dialogue.slots.patterns import Span, spans

if TYPE_CHECKING:
    from jaxtyping import Int

KINDS = ("number", "time", "date", "amount", "email", "link", "code", "name")
TYPICAL: dict[str, str] = dict.fromkeys(KINDS, "5")
"""What an encoder reads for each kind of slot: encoders know values, and no placeholders.

One value for all was chosen on the validation domains of `benchmarks/slots.py`, against the placeholder itself and a
value for each kind.
"""
_PLACEHOLDER = re.compile("<(" + "|".join(KINDS) + ")>")
_REPEATED = re.compile(rf"({_PLACEHOLDER.pattern})(?:[\s,.;:/&+-]*(?:\band\s+)?\1)+")
_WORD = re.compile(r"\w")


@dataclass(frozen=True, eq=False)
class Slots:
    """The slots of texts.

    Args:
        forms: Each text with placeholders such as ``<number>`` for its slots; neighbours of one kind become one.
    """

    forms: list[str]

    @classmethod
    def of(cls, texts: Sequence[str], speakers: Iterable[str] = ()) -> Slots:
        """Find the slots of the distinct texts of a log.

        Args:
            texts: The texts, which also tell words that are written in lower case from names.
            speakers: Names of the speakers, which are names in texts too, unless they are roles.
        """
        found = [spans(text) for text in texts]
        finder = NameFinder(texts, speakers)
        return cls([_form(text, [*of, *finder.spans(text)]) for text, of in zip(texts, found, strict=True)])

    @cached_property
    def kinds(self) -> list[tuple[str, ...]]:
        """The kinds of the slots in each text, in order, with duplicates."""
        return [tuple(_PLACEHOLDER.findall(form)) for form in self.forms]

    def to_encode(self) -> tuple[list[str], Int[np.ndarray, " texts"]]:
        """The distinct texts for an encoder, with typical values for slots, and which of them each text becomes."""
        place: dict[str, int] = {}
        which = [place.setdefault(typical(form), len(place)) for form in self.forms]
        return list(place), np.asarray(which, np.int64)

    def counts(self, texts: Iterable[tuple[int, int]]) -> dict[str, int]:
        """Kind of slot -> number of turns that contain it, the most frequent first.

        Args:
            texts: Index and number of turns of each text.
        """
        found: Counter[str] = Counter()
        for text, turns in texts:
            found.update(dict.fromkeys(self.kinds[text], turns))
        return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))

    def only(self, text: int) -> str | None:
        """The kind of slot if a text is nothing else; otherwise None."""
        match = _PLACEHOLDER.fullmatch(self.forms[text])
        return match[1] if match else None


def typical(form: str) -> str:
    """A text with typical values instead of its placeholders."""
    return _PLACEHOLDER.sub(lambda match: TYPICAL[match[1]], form)


def without_slots(form: str) -> str:
    """A text without its placeholders."""
    return _PLACEHOLDER.sub(" ", form)


def _form(text: str, found: list[Span]) -> str:
    if not found:
        return text
    parts, end = [], 0
    for start, stop, kind in sorted(found):
        if start >= end:
            parts += [text[end:start], f"<{kind}>"]
            end = stop
    form = _REPEATED.sub(r"\1", "".join([*parts, text[end:]]))
    if _WORD.search(without_slots(form)):
        return form
    # Nothing but slots: punctuation makes no difference.
    return " ".join(f"<{kind}>" for kind in _PLACEHOLDER.findall(form))

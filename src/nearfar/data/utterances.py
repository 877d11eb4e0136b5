"""What a spoken request means, as one text that a decoder learns to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Utterance"]

_PARTS, _SLOTS = "\n", "\t"


class Utterance(NamedTuple):
    """The label of an audio file, its slots such as `date=tomorrow`, and its transcript."""

    label: str
    slots: tuple[str, ...] = ()
    text: str = ""

    @classmethod
    def of(cls, label: object, slots: Sequence[str] | None, text: str) -> Utterance:
        """With single spaces, so that `parsed` reads what `target` writes; slots may be missing."""
        return cls(_plain(str(label)), tuple(filter(None, map(_plain, slots or ()))), _plain(text))

    def target(self) -> str:
        """The label, the slots and the transcript, a line each; slots are separated by tabs."""
        return _PARTS.join((self.label, _SLOTS.join(self.slots), self.text))

    @classmethod
    def parsed(cls, target: str) -> Utterance:
        """What a text says, however incomplete it is: missing parts are empty."""
        label, _, rest = target.partition(_PARTS)
        slots, _, text = rest.partition(_PARTS)
        return cls(label.strip(), tuple(filter(None, map(_plain, slots.split(_SLOTS)))), _plain(text))


def _plain(text: str) -> str:
    return " ".join(text.split())

"""Dialogues in memory: speaker and text of every turn; each distinct text is stored once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int

Turn = tuple[str, str]
"""A speaker and a text."""


@dataclass(frozen=True, eq=False)
class Log:
    """A log of dialogues.

    Args:
        ids: The name of each dialogue.
        starts: The index of the first turn of each dialogue, followed by the number of turns.
        speakers: Names of the speakers, in the order of their first turns.
        speaker: The speaker of each turn, as an index into `speakers`.
        texts: The distinct texts.
        text: The text of each turn, as an index into `texts`.
        notes: What the reader has to say: what was left out, sorted, or may be no speaker.
    """

    ids: list[str]
    starts: Int[np.ndarray, " dialogues+1"]
    speakers: list[str]
    speaker: Int[np.ndarray, " turns"]
    texts: list[str]
    text: Int[np.ndarray, " turns"]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, dialogues: Iterable[tuple[str, Iterable[Turn]]]) -> Log:
        """Collect dialogues; white space within a text becomes one space."""
        ids: list[str] = []
        starts, speaker, text = [0], [], []
        speakers: dict[str, int] = {}
        texts: dict[str, int] = {}
        for name, turns in dialogues:
            ids.append(name)
            for who, said in turns:
                speaker.append(speakers.setdefault(who, len(speakers)))
                text.append(texts.setdefault(" ".join(said.split()), len(texts)))
            starts.append(len(text))
        return cls(
            ids,
            np.asarray(starts, np.int64),
            list(speakers),
            np.asarray(speaker, np.int32),
            list(texts),
            np.asarray(text, np.int32),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def turns(self) -> int:
        """The number of turns."""
        return len(self.text)

    def dialogue(self, number: int) -> slice:
        """The turns of one dialogue."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def sampled(self, most: int, seed: int = 0) -> Log:
        """A random sample of at most ``most`` dialogues, in their order."""
        if len(self) <= most:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))
        part = self.chosen(chosen.tolist())
        # Without the texts and speakers that only occur in the other dialogues.
        smaller = Log.of(
            (part.ids[i], [(part.speakers[w], part.texts[t]) for w, t in part.dialogue_turns(i)])
            for i in range(len(part))
        )
        return replace(smaller, notes=self.notes)

    def chosen(self, numbers: list[int]) -> Log:
        """Some of the dialogues, over the same speakers and texts."""
        parts = [self.dialogue(number) for number in numbers]
        lengths = [0, *(part.stop - part.start for part in parts)]
        return Log(
            [self.ids[number] for number in numbers],
            np.cumsum(lengths),
            self.speakers,
            np.concatenate([self.speaker[part] for part in parts]),
            self.texts,
            np.concatenate([self.text[part] for part in parts]),
            self.notes,
        )

    def dialogue_turns(self, number: int) -> list[tuple[int, int]]:
        """Speaker and text of each turn of one dialogue."""
        at = self.dialogue(number)
        return list(zip(self.speaker[at].tolist(), self.text[at].tolist(), strict=True))


def steps(
    log: Log, turn: Int[np.ndarray, " turns"], start: int, end: int
) -> tuple[Int[np.ndarray, " steps"], Int[np.ndarray, " steps"], Int[np.ndarray, " steps"]]:
    """All steps from one turn's number to the next, including the one from `start` and the one to `end`.

    Args:
        log: The dialogues.
        turn: A number for each turn.
        start, end: The numbers before the first and after the last turn of each dialogue.

    Returns:
        Source, target and dialogue of each step; there are (turns + dialogues) of them.
    """
    lengths = np.diff(log.starts)
    of = np.repeat(np.arange(len(log)), lengths + 1)
    first = log.starts[:-1] + np.arange(len(log))
    last = first + lengths
    is_first, is_last = np.zeros(len(of), bool), np.zeros(len(of), bool)
    is_first[first], is_last[last] = True, True
    before, after = np.empty(len(of), np.int64), np.empty(len(of), np.int64)
    before[is_first], before[~is_first] = start, turn
    after[is_last], after[~is_last] = end, turn
    return before, after, of

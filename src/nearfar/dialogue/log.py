"""Dialogues in memory: who said which text, turn by turn, each text held once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int

Turn = tuple[str, str]
"""A speaker and what was said."""


@dataclass(frozen=True, eq=False)
class Log:
    """A log of dialogues.

    Args:
        ids: Each dialogue's name.
        starts: The first turn of each dialogue, and the number of turns at the end.
        speakers: Names of the speakers, in the order in which they first speak.
        speaker: Each turn's speaker, as an index into `speakers`.
        texts: The different texts.
        text: Each turn's text, as an index into `texts`.
    """

    ids: list[str]
    starts: Int[np.ndarray, " dialogues+1"]
    speakers: list[str]
    speaker: Int[np.ndarray, " turns"]
    texts: list[str]
    text: Int[np.ndarray, " turns"]

    @classmethod
    def of(cls, dialogues: Iterable[tuple[str, Iterable[Turn]]]) -> Log:
        """Gather dialogues; white space within a text counts as one space."""
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
        """How many turns there are."""
        return len(self.text)

    def dialogue(self, number: int) -> slice:
        """The turns of one dialogue."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def sampled(self, most: int, seed: int = 0) -> Log:
        """At most so many dialogues, drawn at random, in their order."""
        if len(self) <= most:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))
        part = self.chosen(chosen.tolist())
        # What the others alone said is gone, and so are speakers who were among them alone.
        return Log.of(
            (part.ids[i], [(part.speakers[w], part.texts[t]) for w, t in part.dialogue_turns(i)])
            for i in range(len(part))
        )

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
        )

    def dialogue_turns(self, number: int) -> list[tuple[int, int]]:
        """Speaker and text of each turn of one dialogue."""
        at = self.dialogue(number)
        return list(zip(self.speaker[at].tolist(), self.text[at].tolist(), strict=True))

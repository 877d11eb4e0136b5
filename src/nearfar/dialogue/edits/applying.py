"""Applies edits to the actions of a flow: rename, merge, split.

An edit names an action by utterances. The action that contains most of them is edited, and of several the one that
contains the first of them; so an edit finds its action again when the log has grown, or the number of actions differs.
Edits are applied in their order, each to what the earlier ones left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.clustering import Actions, clusters, nearest_mean
from nearfar.dialogue.words.naming import Described, Source, as_shown
from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.dialogue.clustering import Linkage
    from nearfar.dialogue.edits.file import Edit, Edits, Reference
    from nearfar.dialogue.log import Log
    from nearfar.dialogue.words.wording import Wording


@dataclass(frozen=True, eq=False)
class Edited:
    """The actions after the edits.

    Args:
        actions: The action of every turn.
        described: The name, words and examples of each action.
        became: For each action before the edits its number after them; -1: it was split.
        notes: Which edits matched no action, or only in part; one line each.
    """

    actions: Actions
    described: list[Described]
    became: Int[np.ndarray, " actions"]
    notes: list[str]


def apply_edits(
    log: Log,
    vectors: Float[np.ndarray, "texts d"],
    actions: Actions,
    described: Sequence[Described],
    edits: Edits,
    numbers: Sequence[int],
    wording: Wording,
    *,
    linkage: Linkage = "ward",
    seed: int = 0,
    splits: bool = True,
) -> Edited:
    """Rename, merge and split actions.

    Args:
        log: The dialogues.
        vectors: A unit vector for each of `log.texts`.
        actions: The action of every turn.
        described: The actions in words.
        edits: The edits.
        numbers: Which of them are applied.
        wording: Puts actions into words that were merged or split, and names them if the edits do not.
        linkage: The linkage of the clustering, which also splits.
        seed: Random seed of the sample of a large action that is split.
        splits: Whether actions can be split: not if they come from an earlier flow, whose texts are not here.

    Raises:
        InputError: an action would be split that cannot be.
    """
    work = _Work(log, vectors, actions, described, linkage, seed)
    for number in numbers:
        edit = edits.edits[number]
        if edit.kind == "split" and not splits:
            remedy = "run the earlier log with these edits first, and update that flow"
            problem = "an action of an earlier flow cannot be split"
            raise InputError(problem, file=edits.file, field=f"edits[{number}]", remedy=remedy)
        work.apply(edit, f"{edits.file}: edits[{number}]")
    return work.result(wording)


@dataclass(eq=False)
class _Part:
    """An action at work: its place in the order of actions, its description if it still holds, and its name if it is
    given, with where that comes from."""

    speaker: int
    place: tuple[int, ...]
    described: Described | None
    name: str | None = None
    source: Source = "edit"


class _Work:
    def __init__(
        self,
        log: Log,
        vectors: Any,
        actions: Actions,
        described: Sequence[Described],
        linkage: Linkage,
        seed: int,
    ) -> None:
        self.log, self.vectors, self.seed = log, vectors, seed
        self.linkage: Linkage = linkage
        self.before = actions
        self.turn = actions.turn.astype(np.int64)
        speakers = actions.speaker.tolist()
        self.parts = [
            _Part(speaker, (i,), each) for i, (speaker, each) in enumerate(zip(speakers, described, strict=True))
        ]
        self.became = np.arange(len(actions))
        self.notes: list[str] = []
        self.numbers: dict[str, list[int]] = {}
        for index, text in enumerate(log.texts):
            self.numbers.setdefault(as_shown(text), []).append(index)

    def apply(self, edit: Edit, where: str) -> None:
        places = [f"{where}.actions[{i}]" for i in range(len(edit.actions))]
        if edit.kind != "merge":
            places = [f"{where}.action"]
        found = [self._action(of, place) for of, place in zip(edit.actions, places, strict=True)]
        actions = list(dict.fromkeys(action for action in found if action is not None))
        if not actions:
            return
        if edit.kind == "split":
            self._split(actions[0], edit, where)
            return
        first = actions[0]
        if len(actions) > 1:
            first = self._merge(actions)
        if edit.name is not None and (edit.kind == "rename" or len(actions) == len(edit.actions)):
            self.parts[first].name, self.parts[first].source = edit.name, "edit"

    def _action(self, of: Reference, where: str) -> int | None:
        """The action that contains most of the examples; None if no example occurs."""
        votes = Counter[int]()
        if of.speaker in self.log.speakers:
            mine = self.log.speaker == self.log.speakers.index(of.speaker)
            for example in of.examples:
                turns = np.flatnonzero(mine & np.isin(self.log.text, self.numbers.get(as_shown(example), [])))
                votes.update(dict.fromkeys(self.turn[turns].tolist(), 1))
        if not votes:
            self.notes.append(f"{where}: no action contains one of its examples; not applied")
            return None
        action, count = votes.most_common(1)[0]
        if len(votes) > 1 and 2 * count <= votes.total():
            note = (
                f"{where}: its examples are in {len(votes)} actions; applied to the one that contains {count} of them"
            )
            self.notes.append(note)
        return action

    def _merge(self, actions: list[int]) -> int:
        sizes = np.bincount(self.turn, minlength=len(self.parts))
        largest = max(actions, key=lambda action: (sizes[action], -action))
        first = min(actions, key=lambda action: self.parts[action].place)
        old = self.parts[largest]
        name, source = old.name, old.source
        if name is None and old.described is not None:
            name, source = old.described.name, old.described.source
        self.parts.append(_Part(old.speaker, self.parts[first].place, None, name, source))
        self._became(actions, len(self.parts) - 1)
        self.turn[np.isin(self.turn, actions)] = len(self.parts) - 1
        return len(self.parts) - 1

    def _split(self, action: int, edit: Edit, where: str) -> None:
        turns = np.flatnonzero(self.turn == action)
        text = self.log.text[turns]
        names: list[str | None] = []
        if edit.parts is not None:
            label = clusters(self.vectors, text, edit.parts, linkage=self.linkage, seed=self.seed)
            names = [None] * (int(label.max()) + 1)
            if len(names) < edit.parts:
                self.notes.append(f"{where}.parts: the action has only {len(names)} distinct utterances")
        else:
            label, names = self._by_examples(text, edit, where)
        if len(names) < 2:
            self.notes.append(f"{where}: the action cannot be split; not applied")
            return
        part = self.parts[action]
        self._became([action], -1)
        for number, name in enumerate(names):
            self.parts.append(_Part(part.speaker, (*part.place, number), None, name))
            self.turn[turns[label == number]] = len(self.parts) - 1

    def _by_examples(self, text: np.ndarray, edit: Edit, where: str) -> tuple[np.ndarray, list[str | None]]:
        """The nearest group of each turn, by the means of the groups' examples."""
        means, names, of = [], [], dict[int, int]()
        here = set(text.tolist())
        for number, group in enumerate(edit.groups):
            own = [
                index
                for example in group.examples
                for index in self.numbers.get(as_shown(example), [])
                if index in here
            ]
            if not own:
                self.notes.append(f"{where}.groups[{number}]: the action contains none of its examples")
                continue
            for index in own:
                of.setdefault(index, len(means))
            means.append(np.asarray(self.vectors[own], np.float32).mean(0))
            names.append(group.name)
        if not means:
            return np.zeros(len(text), np.int64), []
        texts, place = np.unique(text, return_inverse=True)
        nearest, _ = nearest_mean(self.vectors, texts, np.stack(means), "average")
        given = np.asarray([of.get(index, -1) for index in texts.tolist()])
        return np.where(given >= 0, given, nearest)[place], names

    def _became(self, actions: list[int], later: int) -> None:
        self.became[np.isin(self.became, actions)] = later

    def result(self, wording: Wording) -> Edited:
        used = set(self.turn.tolist()) | set(self.became[self.became >= 0].tolist())
        order = sorted(used, key=lambda part: (self.parts[part].speaker, self.parts[part].place))
        number = np.full(len(self.parts), -1)
        number[order] = np.arange(len(order))
        turn = number[self.turn].astype(np.int32)
        parts = [self.parts[part] for part in order]
        speaker = np.asarray([part.speaker for part in parts], np.int32)
        actions = replace(self.before, speaker=speaker, turn=turn, closeness=self._closeness(turn, parts))
        missing = [i for i, part in enumerate(parts) if part.described is None]
        found = dict(zip(missing, wording.describe(actions, missing), strict=True))
        unnamed = [i for i in missing if not parts[i].name]
        found |= zip(unnamed, wording.name([found[i] for i in unnamed]), strict=True)
        described = []
        for i, part in enumerate(parts):
            each = part.described or found[i]
            described.append(replace(each, name=part.name, source=part.source) if part.name else each)
        became = np.where(self.became >= 0, number[self.became], -1)
        return Edited(actions, described, became, self.notes)

    def _closeness(self, turn: np.ndarray, parts: list[_Part]) -> np.ndarray:
        """As before for actions that were not merged or split; for the others, the cosine with their new mean."""
        found = self.before.closeness.copy()
        for action, part in enumerate(parts):
            turns = np.flatnonzero(turn == action)
            if part.described is None and len(turns):
                here = np.asarray(self.vectors[self.log.text[turns]], np.float32)
                mean = here.mean(0)
                found[turns] = here @ (mean / max(float(np.linalg.norm(mean)), 1e-12))
        return found

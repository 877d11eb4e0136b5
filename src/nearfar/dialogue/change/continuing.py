"""Flows that refer to another one: a new log in the actions of an earlier flow, and two logs side by side."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.change.comparing import Change, Side, compare
from nearfar.dialogue.change.known import Known, radii
from nearfar.dialogue.change.update import check_same, update
from nearfar.dialogue.clustering import Actions
from nearfar.dialogue.edits.applying import apply_edits
from nearfar.dialogue.graph import FIRST
from nearfar.dialogue.log import Log
from nearfar.dialogue.words.naming import Described
from nearfar.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

    from nearfar.dialogue.clustering import Linkage
    from nearfar.dialogue.edits.file import Edits
    from nearfar.dialogue.words.wording import Wording


@dataclass(frozen=True, eq=False)
class Stage:
    """A flow at work: what edits change.

    Args:
        log: The dialogues of the flow.
        actions, described: Its actions.
        before: The log that it is compared with; None: none.
        added: Actions that an earlier flow does not have.
        known: The actions for a later update; None: not yet computed, or there is none.
    """

    log: Log
    actions: Actions
    described: list[Described]
    before: Side | None = None
    added: frozenset[int] = frozenset()
    known: Known | None = None

    def change(self, names: tuple[str, str], seed: int) -> Change | None:
        """The comparison with the log before; None if there is none."""
        if self.before is None:
            return None
        rates = compare(self.before, Side(self.log, self.actions.turn), seed=seed)
        added = frozenset(action + FIRST for action in self.added)
        return Change(self.before, names, rates, added, "against" if self.known is None else "update")


def continued(
    log: Log,
    vectors: Float[np.ndarray, "texts d"],
    known: Known,
    settings: dict[str, Any],
    wording: Wording,
    *,
    linkage: Linkage,
    seed: int,
    file: str | Path,
) -> Stage:
    """A new log in the actions of an earlier flow. Earlier actions keep their names, and new ones are named.

    Args:
        log: The new log.
        vectors: A unit vector for each of its texts.
        known: The actions of the earlier flow.
        settings: The settings of this run, which must be those of `known`.
        wording: Puts its actions into words.
        linkage: The linkage of the clustering.
        seed: Random seed of the test of what is new.
        file: The earlier flow, for messages.

    Raises:
        InputError: the encoder, another setting, or the speakers differ.
    """
    check_same(known, log, settings, file)
    known = known.in_order_of(log.speakers)
    found = update(log, vectors, known, linkage=linkage, seed=seed)
    actions, earlier = found.actions, found.earlier.tolist()
    present = np.unique(actions.turn).tolist()
    now = dict(zip(present, wording.describe(actions, present), strict=True))
    new = [action for action in present if earlier[action] < 0]
    now |= zip(new, wording.name([now[action] for action in new]), strict=True)
    texts = {text: index for index, text in enumerate(log.texts)}
    described = []
    for action, old in enumerate(earlier):
        if old < 0:
            described.append(now[action])
            continue
        if action in now:
            examples = now[action].examples
        else:
            # Nobody says it now: the examples are those of the earlier log, and none of this log's turns has them.
            examples = tuple((texts.setdefault(text, len(texts)), count) for text, count in known.examples[old])
        slots = now[action].slots if action in now else {}
        described.append(Described(known.names[old], known.words[old], examples, known.named_by[old], slots))
    notes = log.notes
    if found.forced:
        notes += (
            f"{found.forced:,} of {log.turns:,} turns are outside of every action and too rare for a new one; "
            "they were assigned to the nearest action",
        )
    longer = replace(log, texts=list(texts), notes=notes)
    return Stage(longer, actions, described, found.before, frozenset(new), found.known)


def joined(before: Log, after: Log, file: str | Path) -> Log:
    """Both logs as one, the earlier first.

    Args:
        before, after: The logs.
        file: The later log, for messages.

    Raises:
        InputError: their speakers differ.
    """
    if set(before.speakers) != set(after.speakers):
        old, new = (", ".join(log.speakers) for log in (before, after))
        problem = f"expected the speakers {old}, got {new}"
        raise InputError(problem, file=file, field="--against", remedy="map the names with --speakers")
    both = Log.of(
        (log.ids[i], [(log.speakers[who], log.texts[text]) for who, text in log.dialogue_turns(i)])
        for log in (before, after)
        for i in range(len(log))
    )
    return replace(both, notes=(*before.notes, *after.notes))


def separated(stage: Stage, first: int) -> Stage:
    """The later dialogues as the flow, and the earlier ones as what it is compared with.

    Args:
        stage: The flow of both logs, as from `joined`.
        first: Number of dialogues of the earlier log.
    """
    log, actions = stage.log, stage.actions
    border = int(log.starts[first])
    before = Side(log.chosen(list(range(first))), actions.turn[:border])
    later = replace(actions, turn=actions.turn[border:], closeness=actions.closeness[border:])
    return replace(stage, log=log.chosen(list(range(first, len(log)))), actions=later, before=before)


def edited(
    stage: Stage, vectors: Float[np.ndarray, "texts d"], edits: Edits, wording: Wording, *, linkage: Linkage, seed: int
) -> Stage:
    """The flow after a person's edits; edits that an earlier flow already contains are not applied again.

    Raises:
        InputError: an action of an earlier flow would be split.
    """
    done = [] if stage.known is None else stage.known.edits
    new = [number for number, raw in enumerate(edits.raw) if raw not in done]
    found = apply_edits(
        stage.log,
        vectors,
        stage.actions,
        stage.described,
        edits,
        new,
        wording,
        linkage=linkage,
        seed=seed,
        splits=stage.known is None,
    )
    for note in found.notes:
        logging.getLogger(__name__).warning(note)
    log = replace(stage.log, notes=(*stage.log.notes, *found.notes))
    stage = replace(stage, log=log, actions=found.actions, described=found.described)
    became = found.became.astype(np.int32)
    if stage.before is not None:
        # Only without splits, so that each action became another one.
        stage = replace(stage, before=Side(stage.before.log, became[stage.before.turn]))
    added = frozenset(int(became[action]) for action in stage.added)
    known = stage.known
    if known is not None:
        old = frozenset(became[[action for action in range(len(became)) if action not in stage.added]].tolist())
        added -= old
        said = {"action": became[known.action], "turn": became[known.turn], "speaker": found.actions.speaker}
        known = replace(known, **said, edits=[*done, *(edits.raw[number] for number in new)])
    return replace(stage, added=added, known=known)


def kept(
    stage: Stage,
    vectors: Float[np.ndarray, "texts d"],
    settings: dict[str, Any],
    edits: list[dict[str, Any]],
    source: str,
    *,
    linkage: Linkage,
) -> Known:
    """The actions of a flow for a later update, with their names and examples."""
    log = stage.log
    words = {
        "speaker": stage.actions.speaker,
        "names": [each.name for each in stage.described],
        "words": [each.words for each in stage.described],
        "named_by": [each.source for each in stage.described],
        "examples": [[(log.texts[text], count) for text, count in each.examples] for each in stage.described],
        "settings": settings,
        "source": source,
    }
    if stage.known is not None:
        return replace(stage.known, **words)
    centroids, said = radii(log, vectors, stage.actions, linkage)
    dialogues = {"speakers": log.speakers, "starts": log.starts, "said_by": log.speaker}
    return Known(**centroids, **said, **words, **dialogues, edits=edits)

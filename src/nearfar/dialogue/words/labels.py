"""Names of actions from the label vocabulary of their encoder: "ask for the date" instead of a typical utterance.

The mean of an action's vectors is compared with the mean of each label's training utterances. The label's acts and
slots become a phrase (`nearfar.dialogue.words.phrases`):

- acts and slots, where the labels with the best acts agree about the slots;
- acts alone, where only they agree: slots of other domains are often not in the vocabulary;
- neither, where the best label is not near enough: the action keeps the name that it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nearfar.dialogue.words.naming import Described
from nearfar.dialogue.words.phrases import has_object, phrase, slot_phrase
from nearfar.models.action_labels import ActionLabel

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.dialogue.clustering import Actions
    from nearfar.dialogue.log import Log
    from nearfar.dialogue.slots.texts import Slots
    from nearfar.models.action_labels import ActionLabels, Side


@dataclass(frozen=True)
class Safe:
    """When a label is a safe name; the values were chosen on the validation domains of `benchmarks/slots.py`.

    Args:
        near: Minimum cosine similarity of an action's mean and the nearest label's.
        acts: Minimum share of the best acts among all.
        slots: Minimum share of the best slots among the labels with these acts.
        temperature: Of the softmax over labels that gives the shares.
    """

    near: float = 0.8
    acts: float = 0.4
    slots: float = 0.6
    temperature: float = 0.03


SAFE = Safe()
NOTHING = ("give information", "tell information")
"""Names that say less than a typical utterance."""
ONLY_SLOTS = 0.5
"""An action is named by a slot if more than this share of its turns is nothing else."""


@dataclass(frozen=True)
class Proposal:
    """A label for an action.

    Args:
        label: The nearest label with the best acts.
        slots: Whether its slots are reliable too.
    """

    label: ActionLabel
    slots: bool


def name_by_labels(
    log: Log,
    actions: Actions,
    described: Sequence[Described],
    vectors: Float[np.ndarray, "texts d"],
    labels: ActionLabels | None,
    slots: Slots | None,
) -> list[Described]:
    """Name actions by their slots or by labels where that is safe; the others keep their names.

    Two actions of one speaker never get the same name: their characteristic words, or else a number, follow.

    Args:
        log: The dialogues.
        actions: The action of every turn.
        described: The actions in words.
        vectors: A vector for each of `log.texts`.
        labels: The vocabulary of the encoder; None if it has none.
        slots: The slots of `log.texts`; None if they were not looked for.
    """
    means = action_means(log, actions, vectors)
    sides = sides_of(log, vectors, labels)
    proposals = [None] * len(actions) if labels is None else propose(means, actions.speaker, sides, labels)
    named = []
    for action, (each, found) in enumerate(zip(described, proposals, strict=True)):
        side = sides[int(actions.speaker[action])]
        kind = None if slots is None else only_slots(log, actions, action, slots)
        if kind is not None:
            named.append(replace(each, name=slot_phrase(kind, side), source="slots"))
        elif found is not None:
            turns = int((actions.turn == action).sum())
            kinds = [kind for kind, count in each.slots.items() if count > turns / 2]
            name = phrase(found.label, found.slots, kinds)
            named.append(each if name in NOTHING else replace(each, name=name, source="labels"))
        else:
            named.append(each)
    vague = [
        found is not None and not found.slots and has_object(found.label) and each.source == "labels"
        for found, each in zip(proposals, named, strict=True)
    ]
    return distinct(named, actions.speaker, vague)


def propose(
    means: Float[np.ndarray, "actions d"],
    speaker: Int[np.ndarray, " actions"],
    sides: Sequence[Side],
    labels: ActionLabels,
    safe: Safe = SAFE,
) -> list[Proposal | None]:
    """A label for each action; None where no label is near enough."""
    cosines = means @ labels.vectors.T
    found: list[Proposal | None] = []
    for row, who in zip(cosines, speaker.tolist(), strict=True):
        mine = [i for i, label in enumerate(labels.labels) if label.side == sides[who]]
        best = max(mine, key=lambda i: row[i])
        weights = np.exp((row[mine] - row[best]) / safe.temperature)
        by_acts: dict[tuple[str, ...], dict[tuple[str, ...], float]] = {}
        for i, weight in zip(mine, weights.tolist(), strict=True):
            of = by_acts.setdefault(labels.labels[i].acts, {})
            of[labels.labels[i].slots] = of.get(labels.labels[i].slots, 0.0) + weight
        acts, of = max(by_acts.items(), key=lambda each: sum(each[1].values()))
        share = sum(of.values()) / weights.sum()
        if row[best] < safe.near or share < safe.acts:
            found.append(None)
            continue
        slots, weight = max(of.items(), key=lambda each: each[1])
        found.append(Proposal(ActionLabel(sides[who], acts, slots), weight / sum(of.values()) >= safe.slots))
    return found


def action_means(log: Log, actions: Actions, vectors: Float[np.ndarray, "texts d"]) -> Float[np.ndarray, "actions d"]:
    """The mean vector of each action's turns, of length 1."""
    from scipy.sparse import csr_matrix

    shape = (len(actions), len(log.texts))
    counts = csr_matrix((np.ones(log.turns, np.float32), (actions.turn, log.text)), shape=shape)
    sums = np.asarray(counts @ np.asarray(vectors, np.float32))
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def sides_of(log: Log, vectors: Float[np.ndarray, "texts d"], labels: ActionLabels | None) -> list[Side]:
    """Whether each speaker is a user or an agent: whose labels are nearer to the speaker's turns, compared with others.

    Without labels all are users: the phrases of slots are nearly the same.
    """
    if labels is None:
        return ["user"] * len(log.speakers)
    agent = np.asarray([label.side == "agent" for label in labels.labels])
    lead = np.empty(len(log.texts), np.float32)
    for start in range(0, len(lead), 4096):
        cosines = np.asarray(vectors[start : start + 4096], np.float32) @ labels.vectors.T
        lead[start : start + 4096] = cosines[:, agent].max(1) - cosines[:, ~agent].max(1)
    leads = [float(lead[log.text[log.speaker == s]].mean()) for s in range(len(log.speakers))]
    # The vocabulary has more labels of users, so that the leads of two speakers are compared with each other.
    middle = sum(leads) / len(leads) if len(leads) > 1 else 0.0
    return ["agent" if of > middle else "user" for of in leads]


def only_slots(log: Log, actions: Actions, action: int, slots: Slots) -> str | None:
    """The kind of slot that most turns of an action consist of; None if most of them say something else too."""
    texts, turns = np.unique(log.text[actions.turn == action], return_counts=True)
    found: dict[str, int] = {}
    for text, count in zip(texts.tolist(), turns.tolist(), strict=True):
        kind = slots.only(text)
        if kind is not None:
            found[kind] = found.get(kind, 0) + count
    kind = max(found, key=lambda each: found[each], default=None)
    return kind if kind is not None and found[kind] > ONLY_SLOTS * turns.sum() else None


def distinct(
    described: Sequence[Described], speaker: Int[np.ndarray, " actions"], vague: Sequence[bool] = ()
) -> list[Described]:
    """Add characteristic words in brackets to vague names and to equal names of one speaker, and numbers if need be."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    keys = [(who, each.name.casefold()) for who, each in zip(speaker.tolist(), described, strict=True)]
    found, seen = [], dict[tuple[int, str], int]()
    for key, each, unclear in zip(keys, described, vague or [False] * len(keys), strict=True):
        name = each.name
        if (unclear or keys.count(key) > 1) and each.words:
            words = [word for word in each.words if word not in ENGLISH_STOP_WORDS] or each.words
            name = f"{name} ({', '.join(words)})"
        again = (key[0], name.casefold())
        seen[again] = seen.get(again, 0) + 1
        found.append(replace(each, name=f"{name} {seen[again]}" if seen[again] > 1 else name))
    return found

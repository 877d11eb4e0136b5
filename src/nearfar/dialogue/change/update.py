"""A new log in the actions of an earlier flow: turns are assigned, and what fits none of them becomes a new action.

Turns outside the radius of every action are clustered by average linkage, together with those of the earlier log, and
the tree is cut at 1.5 times the mean distance of two turns in the median earlier action. A cluster is a new action if
its share grew significantly from the earlier log to the new one (`nearfar.dialogue.change.comparing`), and it occurs in
at least `_DIALOGUES` dialogues. What is left belongs to the nearest action after all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.change.comparing import Side, compare
from nearfar.dialogue.change.known import Known
from nearfar.dialogue.clustering import TREE_TURNS, Actions, nearest_mean
from nearfar.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

    from nearfar.dialogue.clustering import Linkage
    from nearfar.dialogue.log import Log

_DIALOGUES = 3
_WIDER = 1.5  # the last turns that join a cluster are further away than its turns are on average


@dataclass(frozen=True, eq=False)
class Updated:
    """A new log in the actions of an earlier flow.

    Args:
        actions: The action of every turn of the new log; the actions are those of the earlier flow, then for each
            speaker the new ones. An earlier action may have no turn.
        before: The earlier log with the same actions.
        earlier: For each action its number in `known`, or -1 for a new one.
        known: The actions, for the next update: with the dialogues of the new log.
        forced: Number of turns outside of every action that are too rare for a new one.
    """

    actions: Actions
    before: Side
    earlier: np.ndarray
    known: Known
    forced: int


def check_same(known: Known, log: Log, settings: dict[str, Any], file: str | Path) -> None:
    """Check that a log can be assigned to the actions of an earlier flow.

    Args:
        known: The earlier actions.
        log: The new log.
        settings: The settings of the new run, as `Known.settings`.
        file: The earlier flow, for messages.

    Raises:
        InputError: the encoder, another setting, or the names of the speakers differ.
    """
    for name in sorted({*known.settings, *settings}):
        old, new = known.settings.get(name), settings.get(name)
        if old != new:
            shown = f"made with another {name}" if name == "encoder" else f"made with {name} {old}, this run has {new}"
            remedy = "use the same --model and --max-length" if name == "encoder" else "use the same setting"
            raise InputError(shown, file=file, field="--update", remedy=remedy)
    if set(known.speakers) != set(log.speakers):
        old, new = (", ".join(names) for names in (known.speakers, log.speakers))
        problem = f"expected the speakers {old}, got {new}"
        raise InputError(problem, file=file, field="--update", remedy="map the names with --speakers")


def update(
    log: Log, vectors: Float[np.ndarray, "texts d"], known: Known, *, linkage: Linkage = "ward", seed: int = 0
) -> Updated:
    """Assign the turns of a log to known actions, and find new ones among those that fit none.

    Args:
        log: The new log, which `check_same` accepted.
        vectors: A unit vector for each of its texts.
        known: The actions of the earlier flow.
        linkage: The linkage of the clustering, which decides what is nearest.
        seed: Random seed of the test of what is new.
    """
    known = known.in_order_of(log.speakers)
    old = len(known)
    turn, centroid, near = np.empty(log.turns, np.int32), np.empty(log.turns, np.int32), np.empty(log.turns, np.float32)
    outside = np.zeros(log.turns, bool)
    found: list[_Found] = []
    for speaker in range(len(log.speakers)):
        mine = np.flatnonzero(known.speaker[known.action] == speaker)
        turns = np.flatnonzero(log.speaker == speaker)
        texts, place = np.unique(log.text[turns], return_inverse=True)
        best, similarity = nearest_mean(vectors, texts, known.means[mine], linkage)
        centroid[turns], near[turns] = mine[best][place], similarity[place]
        turn[turns] = known.action[centroid[turns]]
        outside[turns] = near[turns] < known.closest[centroid[turns]]
        found += _clusters(log, vectors, known, speaker, turns[outside[turns]], seed)
    before = known.turn.copy()
    candidates = [each for each in found if _dialogues(log, each.turns) >= _DIALOGUES]
    for number, each in enumerate(candidates):
        turn[each.turns], before[each.earlier] = old + number, old + number
    rates = compare(Side(known.log, before), Side(log, turn), steps_too=False, seed=seed)
    grown = {rate.node - 2 for rate in rates if rate.target is None and rate.kind in ("new", "more")}
    kept = [each for number, each in enumerate(candidates) if old + number in grown]
    return _finished(log, vectors, known, kept, centroid, near, outside)


@dataclass(frozen=True, eq=False)
class _Found:
    """A cluster of turns outside of every action: its speaker, mean, and turns of the new and of the earlier log."""

    speaker: int
    mean: np.ndarray
    turns: np.ndarray
    earlier: np.ndarray


def _clusters(log: Log, vectors: Any, known: Known, speaker: int, turns: np.ndarray, seed: int) -> list[_Found]:
    from scipy.cluster.hierarchy import fcluster, linkage

    earlier = np.flatnonzero((known.outside >= 0) & (known.said_by == speaker))
    if not len(turns):
        return []
    texts, place = np.unique(log.text[turns], return_inverse=True)
    rows, row = np.unique(known.outside[earlier], return_inverse=True)
    points = np.concatenate([np.asarray(vectors[texts], np.float32), np.asarray(known.far[rows], np.float32)])
    often = np.concatenate([np.bincount(place, minlength=len(texts)), np.bincount(row, minlength=len(rows))])
    drawn = np.arange(len(points))
    if len(points) > TREE_TURNS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(points), TREE_TURNS, replace=False))
    if len(drawn) == 1:
        label = np.zeros(1, np.int64)
    else:
        own = known.speaker[known.action] == speaker
        # Two turns of an earlier action have this cosine similarity on average.
        width = _WIDER * (1 - float(np.median(known.spread[own])))
        label = (
            np.asarray(fcluster(linkage(points[drawn].astype(np.float64), "average", "cosine"), width, "distance")) - 1
        )
    sums = np.zeros((int(label.max()) + 1, points.shape[1]))
    weight = often[drawn].astype(np.float64)
    np.add.at(sums, label, points[drawn] * weight[:, None])
    means = sums / np.bincount(label, weights=weight)[:, None]
    every, _ = nearest_mean(points, np.arange(len(points)), means, "average")
    every[drawn] = label
    of_new, of_old = every[: len(texts)][place], every[len(texts) :][row]
    return [
        _Found(speaker, mean.astype(np.float32), turns[of_new == number], earlier[of_old == number])
        for number, mean in enumerate(means)
        if (of_new == number).any()
    ]


def _dialogues(log: Log, turns: np.ndarray) -> int:
    return len(np.unique(np.searchsorted(log.starts, turns, side="right")))


def _finished(
    log: Log,
    vectors: Any,
    known: Known,
    kept: list[_Found],
    centroid: np.ndarray,
    near: np.ndarray,
    outside: np.ndarray,
) -> Updated:
    old, first = len(known), len(known.means)
    centroid, near, outside = centroid.copy(), near.copy(), outside.copy()
    before, earlier_outside = known.turn.copy(), known.outside.copy()
    closest, spread = list(known.closest), list(known.spread)
    for number, each in enumerate(kept):
        centroid[each.turns] = first + number
        direction = each.mean / max(float(np.linalg.norm(each.mean)), 1e-12)
        near[each.turns] = np.asarray(vectors[log.text[each.turns]], np.float32) @ direction
        outside[each.turns] = False
        before[each.earlier] = old + number
        earlier_outside[each.earlier] = -1
        closest.append(float(near[each.turns].min()))
        spread.append(float(each.mean @ each.mean))
    speaker = np.concatenate([known.speaker, np.asarray([each.speaker for each in kept], np.int32)]).astype(np.int32)
    order = np.argsort(speaker, kind="stable")
    number = np.argsort(order).astype(np.int32)
    action = number[np.concatenate([known.action, np.arange(old, len(speaker))])].astype(np.int32)
    turn = action[centroid]
    actions = Actions(speaker[order], turn, near, [])
    far, rows = np.unique(log.text[outside], return_inverse=True)
    row = np.full(log.turns, -1, np.int32)
    row[outside] = rows
    later = replace(
        known,
        means=np.concatenate([known.means, *(each.mean[None] for each in kept)]).astype(np.float32),
        action=action,
        closest=np.asarray(closest, np.float32),
        spread=np.asarray(spread, np.float32),
        speaker=speaker[order],
        starts=log.starts,
        said_by=log.speaker,
        turn=turn,
        outside=row,
        far=np.asarray(vectors[far], np.float16),
    )
    earlier = np.where(order < old, order, -1)
    return Updated(actions, Side(known.log, number[before]), earlier, later, int(outside.sum()))

"""Clusters utterances into actions: one tree of utterances per speaker, all cut at the same height.

The trees are cut at a given number of clusters, or where an action says most about the next one on held-out dialogues:
with too few actions there is nothing to predict, with too many no pair of them is seen twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from nearfar.dialogue.chain import fit_chain
from nearfar.dialogue.log import Log, steps
from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Linkage = Literal["ward", "average"]
Number = int | Mapping[str, int] | Literal["auto"]

TREE_TURNS = 5000
"""Maximum number of turns of one speaker in a tree, whose distances take 100 MB. Other turns join the nearest mean."""
MOST_ACTIONS = 150
"""Maximum number of actions in the automatic choice; a graph with more cannot be read."""
_CANDIDATES, _FOLDS = 30, 5
_BLOCK = 8192


@dataclass(frozen=True, eq=False)
class Actions:
    """The action of every turn.

    Args:
        speaker: The speaker of each action, ascending.
        turn: The action of each turn.
        closeness: Cosine similarity of each turn and the mean of its action.
        gain: For each tried cut, the number of actions and the information in nats that an action gives about the
            next one; empty if the number was given.
        found_in: Number of dialogues in the trees; None: all.
    """

    speaker: Int[np.ndarray, " actions"]
    turn: Int[np.ndarray, " turns"]
    closeness: Float[np.ndarray, " turns"]
    gain: list[tuple[int, float]]
    found_in: int | None = None

    def __len__(self) -> int:
        return len(self.speaker)


def find_actions(
    log: Log,
    vectors: Float[np.ndarray, "texts d"],
    number: Number = "auto",
    *,
    linkage: Linkage = "ward",
    tree_turns: int = TREE_TURNS,
    seed: int = 0,
) -> Actions:
    """Cluster the utterances of each speaker.

    Args:
        log: The dialogues.
        vectors: A unit vector for each of `log.texts`.
        number: Number of actions per speaker, or a mapping from speaker to number, or "auto".
        linkage: "ward", or the "average" cosine distance of Dialog2Flow.
        tree_turns: Approximate maximum number of turns of a speaker in a tree: a random sample of whole dialogues.
        seed: Random seed of the sample, and of the folds of the automatic choice.

    Raises:
        InputError: a number is less than 1, a speaker is unknown or missing, or the number is to be chosen from only
            one dialogue.
    """
    wanted = _wanted(log, number)
    tree_log = _part(log, tree_turns, seed)
    trees = [_Tree(vectors[tree_log.text[tree_log.speaker == s]], linkage) for s in range(len(log.speakers))]
    gain: list[tuple[int, float]] = []
    if wanted is None:
        gain = _gains(tree_log, trees, seed)
        # Of equal cuts the one with fewer actions, which is easier to read.
        best = max(gain, key=lambda pair: (pair[1], -pair[0]))[0]
        labels = _cut(trees, best)
    else:
        labels = [tree.parts(k) for tree, k in zip(trees, wanted, strict=True)]
    actions = _assigned(log, vectors, trees, labels, gain)
    return actions if tree_log is log else replace(actions, found_in=len(tree_log))


def clusters(
    vectors: Float[np.ndarray, "texts d"],
    text: Int[np.ndarray, " turns"],
    number: int,
    *,
    linkage: Linkage = "ward",
    tree_turns: int = TREE_TURNS,
    seed: int = 0,
) -> Int[np.ndarray, " turns"]:
    """Cluster some turns, such as those of one action, into at most ``number`` clusters.

    Args:
        vectors: Unit vectors of texts.
        text: The text of each turn.
        number: Number of clusters; fewer if there are fewer distinct texts.
        linkage: As in `find_actions`.
        tree_turns: Maximum number of turns in the tree; of more, a random sample.
        seed: Random seed of the sample.
    """
    drawn = np.arange(len(text))
    if len(text) > tree_turns:
        drawn = np.sort(np.random.default_rng(seed).choice(len(text), tree_turns, replace=False))
    tree = _Tree(vectors[text[drawn]], linkage)
    of = tree.parts(number)
    if len(drawn) == len(text):
        return of
    texts, place = np.unique(text, return_inverse=True)
    return nearest_mean(vectors, texts, tree.means(of), linkage)[0][place].astype(np.int32)


def nearest_mean(
    vectors: Float[np.ndarray, "texts d"],
    texts: Int[np.ndarray, " n"],
    means: Float[np.ndarray, "parts d"],
    how: Linkage,
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The nearest mean of each text: by Euclidean distance for ward, which minimises it, else by cosine.

    Args:
        vectors: Unit vectors.
        texts: Rows of `vectors`.
        means: The means.
        how: The linkage of the clustering.

    Returns:
        For each of `texts` the number of its nearest mean, and their cosine similarity.
    """
    lengths = np.linalg.norm(means, axis=1)
    directions = (means / np.maximum(lengths, 1e-12)[:, None]).astype(np.float32)
    found, near = np.empty(len(texts), np.int64), np.empty(len(texts), np.float32)
    for start in range(0, len(texts), _BLOCK):
        part = slice(start, start + _BLOCK)
        cosines = np.asarray(vectors[texts[part]], np.float32) @ directions.T
        score = 2 * cosines * lengths - lengths**2 if how == "ward" else cosines
        found[part] = score.argmax(1)
        near[part] = cosines[np.arange(len(cosines)), found[part]]
    return found, near


class _Tree:
    """A binary tree over the utterances of one speaker."""

    def __init__(self, vectors: Float[np.ndarray, "n d"], linkage: Linkage) -> None:
        from scipy.cluster import hierarchy

        self.vectors, self.count = np.asarray(vectors, np.float64), len(vectors)
        self.linkage: Linkage = linkage
        self.different = len(np.unique(self.vectors, axis=0))
        metric = "euclidean" if linkage == "ward" else "cosine"
        self.joints = hierarchy.linkage(self.vectors, linkage, metric) if self.count > 1 else np.zeros((0, 4))

    def parts(self, number: int) -> Int[np.ndarray, " n"]:
        """The cluster of each utterance after a cut into ``number`` clusters; equal utterances are in the same one."""
        from scipy.cluster.hierarchy import fcluster

        number = min(number, self.different)
        if self.count == 1 or number == 1:
            return np.zeros(self.count, np.int32)
        found = fcluster(self.joints, number, "maxclust")
        return np.unique(found, return_inverse=True)[1].astype(np.int32)

    def means(self, labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, "parts d"]:
        sums = np.zeros((int(labels.max()) + 1, self.vectors.shape[1]))
        np.add.at(sums, labels, self.vectors)
        return sums / np.bincount(labels)[:, None]


def _wanted(log: Log, number: Number) -> list[int] | None:
    """The number of actions of each speaker; None to choose it."""
    if number == "auto":
        if len(log) < 2:
            problem = "choosing the number of actions requires at least two dialogues"
            raise InputError(problem, field="--actions", remedy="set it, such as --actions 10")
        return None
    by_speaker = dict(number) if isinstance(number, Mapping) else dict.fromkeys(log.speakers, number)
    for name in by_speaker:
        if name not in log.speakers:
            remedy = f"must be one of {', '.join(log.speakers)}"
            raise InputError(f"unknown speaker {name!r}", field="--actions", remedy=remedy)
    wanted = []
    for index, name in enumerate(log.speakers):
        if name not in by_speaker:
            remedy = f"for example {','.join(f'{each}=10' for each in log.speakers)}"
            raise InputError(f"speaker {name!r} is missing", field="--actions", remedy=remedy)
        k = by_speaker[name]
        if k < 1:
            raise InputError(f"invalid value {k}", field="--actions", remedy="must be at least 1, or auto")
        different = len(np.unique(log.text[log.speaker == index]))
        if k > different:
            text = "%s has only %d distinct texts, and so at most as many actions"
            logging.getLogger(__name__).warning(text, name, different)
        wanted.append(min(k, different))
    return wanted


def _part(log: Log, tree_turns: int, seed: int) -> Log:
    """A random sample of whole dialogues, with at most about ``tree_turns`` turns of the most frequent speaker."""
    most = int(np.bincount(log.speaker, minlength=len(log.speakers)).max())
    if most <= tree_turns:
        return log
    return log.chosen(_drawn(log, tree_turns, seed))


def _drawn(log: Log, tree_turns: int, seed: int) -> list[int]:
    """Dialogues in random order until a speaker has enough turns and each speaker has at least one."""
    order = np.random.default_rng(seed).permutation(len(log)).tolist()
    said = np.zeros(len(log.speakers), np.int64)
    chosen = []
    for number in order:
        here = np.bincount(log.speaker[log.dialogue(number)], minlength=len(said))
        if not chosen or (said + here).max() <= tree_turns or (here[said == 0] > 0).any():
            chosen.append(number)
            said += here
        if said.max() >= tree_turns and said.all():
            break
    return sorted(chosen)


def _cut(trees: Sequence[_Tree], total: int) -> list[Int[np.ndarray, " n"]]:
    """Cut all trees at the height that gives ``total`` clusters together, at least one per speaker."""
    heights = np.concatenate([tree.joints[:, 2] for tree in trees])
    owner = np.concatenate([np.full(len(tree.joints), i) for i, tree in enumerate(trees)])
    # Undoing the highest joint adds one cluster.
    highest = owner[np.argsort(-heights, kind="stable")[: max(0, total - len(trees))]]
    undone = np.bincount(highest, minlength=len(trees)) if len(highest) else np.zeros(len(trees), np.int64)
    return [tree.parts(int(k) + 1) for tree, k in zip(trees, undone, strict=True)]


def _gains(log: Log, trees: Sequence[_Tree], seed: int) -> list[tuple[int, float]]:
    """The information of an action about the next one, for increasing numbers of actions."""
    most = min(MOST_ACTIONS, sum(tree.different for tree in trees))
    least = min(most, 2 * len(trees))
    totals = np.unique(np.round(np.geomspace(least, most, _CANDIDATES)).astype(int)).tolist()
    folds = min(_FOLDS, len(log))
    fold = np.random.default_rng(seed).permutation(len(log)) % folds
    found = []
    for total in totals:
        turn, count = _turns(log, _cut(trees, total))
        found.append((total, _held_out_gain(log, turn, count, fold)))
    return found


def _turns(log: Log, labels: Sequence[Int[np.ndarray, " n"]]) -> tuple[Int[np.ndarray, " turns"], int]:
    """The cluster of each turn, numbered across speakers, and the number of clusters."""
    turn = np.zeros(log.turns, np.int64)
    base = 0
    for index, of in enumerate(labels):
        turn[log.speaker == index] = base + of
        base += int(of.max()) + 1
    return turn, base


def _held_out_gain(log: Log, turn: Int[np.ndarray, " turns"], count: int, fold: Int[np.ndarray, " dialogues"]) -> float:
    """Information in nats per step that an action gives about the next one, on held-out dialogues.

        mean log p(next | before) / p(next), with the probabilities of `nearfar.dialogue.chain`

    The start and end of a dialogue count as one additional action.
    """
    before, after, of = steps(log, turn, start=count, end=count)
    place = fold[of]
    total = 0.0
    for held in range(int(fold.max()) + 1):
        known = place != held
        conditional, p = fit_chain(before[known], after[known], count + 1)
        total += float(np.log(conditional[before[~known], after[~known]] / p[after[~known]]).sum())
    return total / len(before)


def _assigned(
    log: Log,
    vectors: Float[np.ndarray, "texts d"],
    trees: Sequence[_Tree],
    labels: Sequence[Int[np.ndarray, " n"]],
    gain: list[tuple[int, float]],
) -> Actions:
    """The action of every turn: that of its utterance in the tree, or the one with the nearest mean."""
    turn, closeness = np.empty(log.turns, np.int32), np.empty(log.turns, np.float32)
    speaker: list[int] = []
    for index, (tree, of) in enumerate(zip(trees, labels, strict=True)):
        means = tree.means(of)
        mine = np.flatnonzero(log.speaker == index)
        texts, place = np.unique(log.text[mine], return_inverse=True)
        nearest, near = nearest_mean(vectors, texts, means, tree.linkage)
        if tree.count == len(mine):
            # The whole log is in the tree: use its clusters.
            nearest = np.empty(len(texts), np.int64)
            nearest[place] = of
            near = _closeness(vectors, texts, means, nearest)
        turn[mine] = len(speaker) + nearest[place]
        closeness[mine] = near[place]
        speaker += [index] * len(means)
    return _without_empty(Actions(np.asarray(speaker, np.int32), turn, closeness, gain))


def _closeness(
    vectors: Float[np.ndarray, "texts d"],
    texts: Int[np.ndarray, " n"],
    means: Float[np.ndarray, "parts d"],
    part: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    directions = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return np.einsum("nd,nd->n", np.asarray(vectors[texts], np.float32), directions[part].astype(np.float32))


def _without_empty(actions: Actions) -> Actions:
    """Remove actions without turns, and renumber the others."""
    taken, turn = np.unique(actions.turn, return_inverse=True)
    return Actions(actions.speaker[taken], turn.astype(np.int32), actions.closeness, actions.gain)

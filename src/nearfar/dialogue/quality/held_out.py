"""The quality of a workflow on dialogues that it was not made of.

A workflow is made of all dialogues, so its own figures say little about new ones. Therefore it is made again without
some dialogues: the clusters (as many for each speaker as in the workflow), the counts of steps and the pruned graph
come from the other dialogues alone, and each turn of the dialogues held out gets the action with the nearest mean. Only
the encoder and the number of actions are those of the workflow. Names, merges and other edits of actions are not in it.
The workflow itself is not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.chain import fit_chain
from nearfar.dialogue.clustering import Actions, Linkage, find_actions, nearest_mean
from nearfar.dialogue.graph import END, FIRST, START, Rules, prune, transitions
from nearfar.dialogue.log import Log, steps
from nearfar.dialogue.quality.explained import is_edge
from nearfar.dialogue.quality.word_model import word_losses
from nearfar.evaluation.intervals import Interval, bootstrap_mean

if TYPE_CHECKING:
    from jaxtyping import Float, Int

LEAST, SHARE = 10, 5
"""Minimum number of dialogues, and the number of dialogues of which one is held out."""
MOST = 5000
"""Maximum number of dialogues; of a larger log a random sample is used."""
TREE_TURNS = 2500
"""Approximate maximum number of turns of a speaker in a tree: half of the workflow's, in a quarter of its time."""
_RESAMPLES = 2000


@dataclass(frozen=True)
class HeldOut:
    """Figures on held-out dialogues, with 95% intervals over dialogues.

    A step is from one turn to the next, from the start to the first turn, or from the last turn to the end.

    Args:
        dialogues: Number of dialogues held out.
        fitted: Number of dialogues that the clusters, the counts and the graph were made of.
        steps: Number of steps of the dialogues held out.
        actions: Number of actions.
        edges: Number of edges of the pruned graph. If it is 0, no path from start to end is above the thresholds, and
            nothing is covered.
        dialogues_covered: Share of dialogues whose every step is an edge of the pruned graph.
        steps_covered: Share of steps that are an edge of the pruned graph.
        steps_seen: Share of steps that occur in the other dialogues at all, including from an action to itself.
        perplexity: Of the next action (or the end), by the chain of `nearfar.dialogue.chain`.
        perplexity_unigram: The same without regard to the action before.
        perplexity_uniform: The number of actions, and 1 for the end.
        gain: Nats per step by which the chain predicts the next action better than the unigrams: the logarithm of the
            ratio of the two perplexities.
        word_perplexity: Of the words of a turn, given the action before it; see
            `nearfar.dialogue.quality.word_model`. None if no turn contains a word.
        word_perplexity_speakers: The same with one action for each speaker.
    """

    dialogues: int
    fitted: int
    steps: int
    actions: int
    edges: int
    dialogues_covered: Interval
    steps_covered: Interval
    steps_seen: Interval
    perplexity: Interval
    perplexity_unigram: Interval
    perplexity_uniform: int
    gain: Interval
    word_perplexity: Interval | None
    word_perplexity_speakers: Interval | None


def held_out_quality(
    log: Log,
    vectors: Float[np.ndarray, "texts d"],
    actions: Actions,
    rules: Rules,
    *,
    linkage: Linkage = "ward",
    seed: int = 0,
) -> HeldOut | None:
    """Measure a way to make workflows on dialogues held out.

    Args:
        log: The dialogues.
        vectors: A unit vector for each of `log.texts`.
        actions: The actions of the workflow, of which only the number for each speaker is used.
        rules: How the graph is pruned.
        linkage: The linkage of the clustering.
        seed: Random seed of the split and of the clustering.

    Returns:
        The figures; None if there are fewer than `LEAST` dialogues, or a speaker is only in dialogues held out.
    """
    if len(log) < LEAST:
        return None
    known, new = _split(log, seed)
    here = np.bincount(known.speaker, minlength=len(log.speakers))
    if not here.all():
        return None
    number = _numbers(known, actions)
    fitted = find_actions(known, vectors, number, linkage=linkage, tree_turns=TREE_TURNS, seed=seed)
    turn = _assigned(new, known, vectors, fitted, linkage)
    return _figures(known, new, fitted, turn, rules, seed)


def _split(log: Log, seed: int) -> tuple[Log, Log]:
    order = np.random.default_rng(seed).permutation(len(log))[:MOST]
    count = len(order) // SHARE
    return log.chosen(np.sort(order[count:]).tolist()), log.chosen(np.sort(order[:count]).tolist())


def _numbers(log: Log, actions: Actions) -> Mapping[str, int]:
    """The number of actions of each speaker, at most that of the speaker's texts."""
    counts = np.bincount(actions.speaker, minlength=len(log.speakers)).tolist()
    different = [len(np.unique(log.text[log.speaker == speaker])) for speaker in range(len(log.speakers))]
    return {name: min(k, most) for name, k, most in zip(log.speakers, counts, different, strict=True)}


def _assigned(
    new: Log, known: Log, vectors: Float[np.ndarray, "texts d"], fitted: Actions, linkage: Linkage
) -> Int[np.ndarray, " turns"]:
    """The action with the nearest mean, for each turn of other dialogues."""
    turn = np.empty(new.turns, np.int64)
    for speaker in range(len(known.speakers)):
        mine = np.flatnonzero(fitted.speaker == speaker)
        turns = np.flatnonzero(known.speaker == speaker)
        means = _means(vectors, known.text[turns], fitted.turn[turns] - mine[0], len(mine))
        here = np.flatnonzero(new.speaker == speaker)
        turn[here] = mine[0] + nearest_mean(vectors, new.text[here], means, linkage)[0]
    return turn


def _means(
    vectors: Float[np.ndarray, "texts d"], text: Int[np.ndarray, " n"], label: Int[np.ndarray, " n"], count: int
) -> Float[np.ndarray, "count d"]:
    from scipy.sparse import csr_matrix

    texts, place = np.unique(text, return_inverse=True)
    said: Any = csr_matrix((np.ones(len(text), np.float32), (label, place)), shape=(count, len(texts)))
    return (said @ np.asarray(vectors[texts], np.float32)) / np.asarray(said.sum(1))


def _figures(
    known: Log, new: Log, fitted: Actions, turn: Int[np.ndarray, " turns"], rules: Rules, seed: int
) -> HeldOut:
    counts = transitions(known, fitted.turn.astype(np.int64) + FIRST)
    before, after, of = steps(new, turn + FIRST, START, END)
    edges = prune(counts, rules).counts
    covered = is_edge(before, after, edges)
    seen = is_edge(before, after, counts)
    old = fitted.turn.astype(np.int64)
    losses, unigram = _losses(known, new, old, turn, len(fitted))

    def mean(values: np.ndarray, groups: np.ndarray | None = of) -> Interval:
        return bootstrap_mean(values.astype(np.float64), resamples=_RESAMPLES, seed=seed, groups=groups)

    words = word_losses(known, new, old, turn, len(fitted))
    speakers = known.speaker.astype(np.int64), new.speaker.astype(np.int64)
    by_speaker = word_losses(known, new, *speakers, len(known.speakers))
    return HeldOut(
        dialogues=len(new),
        fitted=len(known),
        steps=len(before),
        actions=len(fitted),
        edges=len(edges),
        dialogues_covered=mean(np.bincount(of[~covered], minlength=len(new)) == 0, None),
        steps_covered=mean(covered),
        steps_seen=mean(seen),
        perplexity=_exp(mean(losses)),
        perplexity_unigram=_exp(mean(unigram)),
        perplexity_uniform=len(fitted) + 1,
        gain=mean(unigram - losses),
        word_perplexity=None if words is None else _exp(mean(*words)),
        word_perplexity_speakers=None if by_speaker is None else _exp(mean(*by_speaker)),
    )


def _losses(
    known: Log, new: Log, old: Int[np.ndarray, " turns"], turn: Int[np.ndarray, " turns"], states: int
) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]:
    """The negative log-probability of each step by the chain, and without regard to the action before.

    The start and the end of a dialogue are one more state, so that the end is predicted and the start is not.
    """
    before, after, _ = steps(known, old, states, states)
    conditional, p = fit_chain(before, after, states + 1)
    before, after, _ = steps(new, turn, states, states)
    return -np.log(conditional[before, after]), -np.log(p[after])


def _exp(of: Interval) -> Interval:
    return Interval(*(float(np.exp(value)) for value in of))

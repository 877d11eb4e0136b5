"""The actions of a finished flow as something to assign other turns to: centroids, their radii, and what was said.

A turn belongs to the nearest centroid of its speaker, if it is inside its radius: the cosine similarity that 99% of the
action's own turns reach, each compared with the mean of the *other* turns of its action. Otherwise a turn would be
compared with a mean that contains it, and new turns of the same action would seem to be too far away. An action with
fewer than `_OWN` turns has no such quantile, and takes that of all actions of its speaker.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.dialogue.log import Log

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.dialogue.clustering import Actions, Linkage
    from nearfar.dialogue.words.naming import Source

OUTSIDE = 0.01
"""Fraction of an action's own turns outside its radius."""
_OWN = 50
_ROUNDING = 2e-3  # equal texts must be inside: vectors are stored in half precision
_BLOCK = 8192


@dataclass(frozen=True, eq=False)
class Known:
    """The actions of a flow, and the dialogues that they were found in.

    Args:
        means: The mean vector of each centroid. An action that was merged has several.
        action: The action of each centroid.
        closest: The radius of each centroid: the minimum cosine similarity of a turn.
        spread: Mean cosine similarity of two turns of a centroid.
        speaker: The speaker of each action, an index into `speakers`.
        names, words, named_by, examples: The actions in words, as in `nearfar.dialogue.words.naming.Described`;
            examples are (text, count).
        speakers: Names of the speakers.
        starts, said_by, turn: The dialogues: the first turn of each, the speaker of each turn, and the action that
            `assign` gives each turn without its own text.
        outside: For each turn a row of `far`, or -1 if the turn is inside the radius of its action.
        far: Vectors of the texts outside.
        settings: What must be equal in a later flow: the encoder and how texts are read.
        edits: The edits that were applied, as in their file.
        source: Where the dialogues came from.
    """

    means: Float[np.ndarray, "centroids d"]
    action: Int[np.ndarray, " centroids"]
    closest: Float[np.ndarray, " centroids"]
    spread: Float[np.ndarray, " centroids"]
    speaker: Int[np.ndarray, " actions"]
    names: list[str]
    words: list[tuple[str, ...]]
    named_by: list[Source]
    examples: list[list[tuple[str, int]]]
    speakers: list[str]
    starts: Int[np.ndarray, " dialogues+1"]
    said_by: Int[np.ndarray, " turns"]
    turn: Int[np.ndarray, " turns"]
    outside: Int[np.ndarray, " turns"]
    far: Float[np.ndarray, "texts d"]
    settings: dict[str, Any]
    edits: list[dict[str, Any]]
    source: str

    def __len__(self) -> int:
        return len(self.speaker)

    @property
    def log(self) -> Log:
        """The dialogues without their texts."""
        ids = [""] * (len(self.starts) - 1)
        return Log(ids, self.starts, self.speakers, self.said_by, [], np.zeros(len(self.said_by), np.int32))

    def in_order_of(self, speakers: list[str]) -> Known:
        """The same actions with the speakers, and so the actions, in another order.

        Args:
            speakers: The same names as `speakers`.
        """
        place = np.asarray([speakers.index(name) for name in self.speakers], np.int32)
        order = np.argsort(place[self.speaker], kind="stable")
        number = np.argsort(order).astype(np.int32)
        return replace(
            self,
            action=number[self.action],
            speaker=place[self.speaker][order],
            names=[self.names[i] for i in order],
            words=[self.words[i] for i in order],
            named_by=[self.named_by[i] for i in order],
            examples=[self.examples[i] for i in order],
            speakers=list(speakers),
            said_by=place[self.said_by],
            turn=number[self.turn],
        )


def radii(
    log: Log, vectors: Float[np.ndarray, "texts d"], actions: Actions, linkage: Linkage
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The centroids of a flow's actions, and its own turns assigned to them as turns of another log would be.

    Args:
        log: The dialogues.
        vectors: A unit vector for each of `log.texts`.
        actions: The action of every turn.
        linkage: The linkage of the clustering, which decides what is nearest.

    Returns:
        The fields means, action, closest and spread of `Known`; and its fields turn, outside and far.
    """
    means, spread = _means(log, vectors, actions)
    count = len(actions)
    closest = np.full(count, -1.0, np.float32)
    size = np.bincount(actions.turn, minlength=count)
    turn, similarity = np.empty(log.turns, np.int32), np.empty(log.turns, np.float32)
    for speaker in range(len(log.speakers)):
        mine = np.flatnonzero(actions.speaker == speaker)
        turns = np.flatnonzero(log.speaker == speaker)
        if not len(turns):
            continue
        codes, place = np.unique(log.text[turns].astype(np.int64) * count + actions.turn[turns], return_inverse=True)
        texts, own = codes // count, codes % count
        best, near, mean_near = _nearest_without(vectors, texts, own - mine[0], means[mine], size[mine], linkage)
        turn[turns], similarity[turns] = mine[0] + best[place], near[place]
        # A turn that is alone in its action says nothing about its radius.
        mean_near = mean_near[place]
        known, own = np.isfinite(mean_near), own[place]
        pooled = _quantile(mean_near[known])
        for action in mine.tolist():
            values = mean_near[known & (own == action)]
            closest[action] = _quantile(values) if len(values) >= _OWN else pooled
    far = np.flatnonzero(similarity < closest[turn])
    rows, row = np.unique(log.text[far], return_inverse=True)
    outside = np.full(log.turns, -1, np.int32)
    outside[far] = row
    kept = {"means": means, "action": np.arange(count, dtype=np.int32), "closest": closest, "spread": spread}
    said = {"turn": turn, "outside": outside, "far": np.asarray(vectors[rows], np.float16)}
    return kept, said


def _means(log: Log, vectors: Any, actions: Actions) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the vectors of each action's turns, and the mean cosine of two of them."""
    from scipy.sparse import csr_matrix

    shape = (len(actions), len(log.texts))
    said: Any = csr_matrix((np.ones(log.turns, np.float32), (actions.turn, log.text)), shape=shape)
    sums = np.zeros((len(actions), vectors.shape[1]), np.float32)
    for start in range(0, len(log.texts), _BLOCK):
        part = slice(start, start + _BLOCK)
        sums += said[:, part] @ np.asarray(vectors[part], np.float32)
    size = np.bincount(actions.turn, minlength=len(actions))
    means = (sums / np.maximum(size, 1)[:, None]).astype(np.float32)
    return means, (means**2).sum(1)


def _nearest_without(
    vectors: Any,
    texts: np.ndarray,
    own: np.ndarray,
    means: np.ndarray,
    size: np.ndarray,
    linkage: Linkage,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest mean of a turn with each text, its cosine, and that of its own mean, which is without the turn."""
    lengths = np.linalg.norm(means, axis=1)
    directions = (means / np.maximum(lengths, 1e-12)[:, None]).astype(np.float32)
    found, near, with_own = (np.empty(len(texts), kind) for kind in (np.int64, np.float32, np.float32))
    for start in range(0, len(texts), _BLOCK):
        part = slice(start, start + _BLOCK)
        here, mine = np.asarray(vectors[texts[part]], np.float32), own[part]
        left = (size[mine] - 1).astype(np.float32)
        cosines = here @ directions.T
        score = 2 * cosines * lengths - lengths**2 if linkage == "ward" else cosines.copy()
        sums = means[mine] * size[mine][:, None] - here
        mean = sums / np.maximum(left, 1)[:, None]
        length = np.linalg.norm(mean, axis=1)
        cosine = np.einsum("nd,nd->n", here, mean) / np.maximum(length, 1e-12)
        row = np.arange(len(here))
        alone = left <= 0
        cosines[row, mine] = np.where(alone, 1, cosine)
        own_score = 2 * cosine * length - length**2 if linkage == "ward" else cosine
        score[row, mine] = np.where(alone, np.inf, own_score)
        found[part] = score.argmax(1)
        near[part] = cosines[row, found[part]]
        with_own[part] = np.where(alone, np.nan, cosine)
    return found, near, with_own


def _quantile(values: np.ndarray) -> float:
    return float(np.quantile(values, OUTSIDE)) - _ROUNDING if len(values) else -1.0

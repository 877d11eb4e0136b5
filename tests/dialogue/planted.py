"""Dialogues with planted actions and vectors."""

from __future__ import annotations

import numpy as np

from nearfar.dialogue.change.known import Known, radii
from nearfar.dialogue.clustering import Actions
from nearfar.dialogue.log import Log

WIDTH = 12
SETTINGS = {"encoder": "planted", "linkage": "ward"}


def planted(
    count: int, *, seed: int, new: float = 0.0, speakers: tuple[str, str] = ("user", "agent")
) -> tuple[Log, np.ndarray, Actions]:
    """Dialogues of six turns with four actions, each a direction with noise; and a fifth with the probability `new`."""
    generator = np.random.default_rng(seed)
    texts, places, turns = [], [], []
    for number in range(count):
        said = [(speakers[0], 0), (speakers[1], 2), (speakers[0], int(generator.integers(2))), (speakers[1], 3)]
        said += [(speakers[0], 1), (speakers[1], 4 if generator.random() < new else 2)]
        turns.append((f"{number}", [(who, f"{action} {seed} {number} {i}") for i, (who, action) in enumerate(said)]))
        texts += [text for _, text in turns[-1][1]]
        places += [action for _, action in said]
    log = Log.of(turns)
    vectors = 0.12 * generator.standard_normal((len(texts), WIDTH))
    vectors[np.arange(len(texts)), places] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    label = np.asarray(places, np.int32)
    speaker = [log.speakers.index(speakers[which]) for which in (0, 0, 1, 1, 1)]
    kept, turn = np.unique(label, return_inverse=True)
    ones = np.ones(len(label), np.float32)
    actions = Actions(np.asarray(speaker, np.int32)[kept], turn.astype(np.int32), ones, [])
    return log, vectors.astype(np.float16), actions


def known_of(log: Log, vectors: np.ndarray, actions: Actions) -> Known:
    centroids, said = radii(log, vectors, actions, "ward")
    count = len(actions)
    return Known(
        **centroids,
        **said,
        speaker=actions.speaker,
        names=[f"action {i}" for i in range(count)],
        words=[("word",)] * count,
        named_by=["utterance"] * count,
        examples=[[(f"example {i}", 2)] for i in range(count)],
        speakers=log.speakers,
        starts=log.starts,
        said_by=log.speaker,
        settings=SETTINGS,
        edits=[],
        source="old.jsonl",
    )

"""Quality on held-out dialogues."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nearfar.dialogue import Log, Rules
from nearfar.dialogue.clustering import find_actions
from nearfar.dialogue.quality import held_out
from nearfar.dialogue.quality.held_out import held_out_quality

ACTS = 6


def log_of(count: int, seed: int, order: bool) -> Log:
    """Dialogues whose turns follow each other in a circle, or at random; each act has texts of its own."""
    draw = np.random.default_rng(seed)
    dialogues = []
    for number in range(count):
        acts = np.arange(8) + draw.integers(ACTS) if order else draw.integers(ACTS, size=8)
        turns = [("ab"[i % 2], f"act{act % ACTS} word{draw.integers(4)}") for i, act in enumerate(acts.tolist())]
        dialogues.append((str(number), turns))
    return Log.of(dialogues)


def vectors_for(log: Log) -> np.ndarray:
    """A direction for each act, with a little noise."""
    draw = np.random.default_rng(0)
    found = np.eye(ACTS)[[int(text[3]) for text in log.texts]] + 0.05 * draw.normal(size=(len(log.texts), ACTS))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def measured(log: Log, k: int = ACTS, rules: Rules = Rules(edges=0.0), seed: int = 0):  # noqa: B008
    vectors = vectors_for(log)
    return held_out_quality(log, vectors, find_actions(log, vectors, k), rules, seed=seed)


def test_an_order_that_repeats_is_predicted_and_a_random_one_is_not():
    ordered, random = measured(log_of(60, 0, order=True)), measured(log_of(60, 0, order=False))
    assert ordered is not None
    assert random is not None
    assert (ordered.dialogues, ordered.fitted, ordered.steps) == (12, 48, 12 * 9)
    assert ordered.perplexity_uniform == ordered.actions + 1 == 13
    # In a circle the next turn is known, except the first one and the end.
    assert ordered.perplexity.mean < 3 < random.perplexity.mean
    assert ordered.steps_seen.mean > 0.9
    assert ordered.gain.low > 0
    assert np.log(ordered.perplexity_unigram.mean / ordered.perplexity.mean) == pytest.approx(ordered.gain.mean)
    assert ordered.word_perplexity is not None
    assert ordered.word_perplexity_speakers is not None
    assert ordered.word_perplexity.mean < ordered.word_perplexity_speakers.mean


def test_words_make_different_numbers_of_actions_comparable():
    log = log_of(60, 0, order=True)
    few, right = measured(log, 1), measured(log, ACTS)
    assert few is not None
    assert right is not None
    assert few.word_perplexity is not None
    assert right.word_perplexity is not None
    assert right.word_perplexity.mean < few.word_perplexity.mean
    assert few.word_perplexity == few.word_perplexity_speakers


def test_pruning_decides_what_is_covered_and_not_what_is_seen():
    log = log_of(60, 1, order=False)
    all_, few = measured(log), measured(log, rules=Rules(edges=0.3))
    assert all_ is not None
    assert few is not None
    assert few.steps_covered.mean < all_.steps_covered.mean
    assert few.steps_seen == all_.steps_seen
    assert few.perplexity == all_.perplexity


def test_a_graph_that_is_pruned_to_nothing_covers_nothing():
    found = measured(log_of(60, 1, order=False), rules=Rules(edges=1.0))
    assert found is not None
    assert (found.edges, found.steps_covered.mean, found.dialogues_covered.mean) == (0, 0, 0)


def test_the_clusters_are_made_without_the_turns_held_out(monkeypatch: pytest.MonkeyPatch):
    log = log_of(40, 0, order=True)
    vectors, seen = vectors_for(log), []

    def recorded(part: Log, *args, **kwargs):
        seen.append(part)
        return find_actions(part, *args, **kwargs)

    actions = find_actions(log, vectors, 3)
    monkeypatch.setattr(held_out, "find_actions", recorded)
    first = held_out_quality(log, vectors, actions, Rules())
    assert len(seen[0]) == 32
    held_out_quality(log, vectors, actions, Rules(), seed=1)
    assert seen[0].ids != seen[1].ids
    # Which action a turn had in the workflow is not used.
    shuffled = replace(actions, turn=actions.turn[::-1].copy())
    assert held_out_quality(log, vectors, shuffled, Rules()) == first


def test_too_few_dialogues_or_a_rare_speaker_are_not_measured():
    assert measured(log_of(9, 0, order=True), 2) is None
    texts = [f"act{i % ACTS} x{i}" for i in range(10)]
    rare = Log.of([*((str(i), [("a", text)]) for i, text in enumerate(texts)), ("rare", [("b", "act2 y")])])
    found = [measured(rare, 1, seed=seed) for seed in range(30)]
    assert any(of is None for of in found)
    assert any(of is not None for of in found)


def test_a_large_log_is_sampled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(held_out, "MOST", 20)
    found = measured(log_of(60, 0, order=True), 2)
    assert found is not None
    assert (found.dialogues, found.fitted) == (4, 16)


def test_dialogues_without_words_have_no_perplexity_of_words():
    log = log_of(20, 0, order=True)
    vectors = vectors_for(log)
    silent = replace(log, texts=["?" * (i + 1) for i in range(len(log.texts))])
    found = held_out_quality(silent, vectors, find_actions(log, vectors, 2), Rules())
    assert found is not None
    assert found.word_perplexity is None

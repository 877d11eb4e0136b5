"""From vectors to actions: the trees, where they are cut, and what the other turns become."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from nearfar.dialogue.clustering import _held_out_gain, find_actions, nearest_mean
from nearfar.dialogue.log import Log
from nearfar.errors import InputError

CENTRES = {"user": 4, "agent": 3}


def blobs(dialogues: int, seed: int = 0, random_order: bool = False, noise: float = 0.15):
    """A log whose true actions follow each other in a fixed cycle, their vectors, and the truth of each turn."""
    generator = np.random.default_rng(seed)
    centres = {who: np.eye(16)[range(base, base + k)] for (who, k), base in zip(CENTRES.items(), (0, 8), strict=True)}
    turns, vectors, truth = [], [], []
    for d in range(dialogues):
        mine = []
        for step in range(12):
            who = ("user", "agent")[step % 2]
            what = int(generator.integers(CENTRES[who])) if random_order else (step // 2) % CENTRES[who]
            vectors.append(centres[who][what] + noise * generator.normal(size=16))
            truth.append((who == "agent") * 10 + what)
            mine.append((who, f"{who} {d} {step}"))
        turns.append((str(d), mine))
    log = Log.of(turns)
    units = np.asarray(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return log, units.astype(np.float32), np.asarray(truth)


@pytest.mark.parametrize("linkage", ["ward", "average"])
def test_the_given_number_finds_the_blobs(linkage):
    log, vectors, truth = blobs(15)
    actions = find_actions(log, vectors, CENTRES, linkage=linkage)
    assert adjusted_rand_score(truth, actions.turn) == 1
    assert actions.speaker.tolist() == [0] * 4 + [1] * 3
    assert (actions.speaker[actions.turn] == log.speaker).all()
    means = np.stack([vectors[actions.turn == a].mean(0) for a in range(7)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(actions.closeness, (vectors * means[actions.turn]).sum(1), atol=1e-5)


def test_the_automatic_number_finds_the_blobs():
    log, vectors, truth = blobs(25)
    actions = find_actions(log, vectors)
    assert len(actions) == 7
    assert adjusted_rand_score(truth, actions.turn) == 1
    gain = dict(actions.gain)
    assert max(gain, key=lambda k: gain[k]) == 7
    # Too few and too many actions both predict less.
    assert gain[min(gain)] < gain[7] > gain[max(gain)]


def test_no_number_of_actions_predicts_a_random_order():
    log, vectors, _ = blobs(25, random_order=True)
    ordered, same, _ = blobs(25)
    assert max(value for _, value in find_actions(ordered, same).gain) > 1
    # Only the next speaker can be predicted, from the previous one.
    gain = find_actions(log, vectors).gain
    assert max(value for _, value in gain) - gain[0][1] < 0.1


def test_the_gain_of_a_cycle_is_its_entropy():
    log = Log.of((str(d), [("a", f"{i}") for i in range(8)]) for d in range(100))
    turn = log.text.astype(np.int64)
    gain = _held_out_gain(log, turn, 8, np.arange(100) % 5)
    # Nine steps, each as frequent as the others, and each certain.
    assert gain == pytest.approx(np.log(9), abs=0.03)


def test_turns_outside_the_tree_join_the_nearest_mean():
    log, vectors, truth = blobs(60)
    for linkage in ("ward", "average"):
        actions = find_actions(log, vectors, CENTRES, linkage=linkage, tree_turns=90)
        assert adjusted_rand_score(truth, actions.turn) == 1
        assert actions.found_in == 15  # six turns of a speaker in each
    assert find_actions(log, vectors, CENTRES).found_in is None
    automatic = find_actions(log, vectors, tree_turns=120)
    assert adjusted_rand_score(truth, automatic.turn) == 1


@pytest.mark.parametrize(("linkage", "nearest"), [("ward", [0, 1]), ("average", [0, 2])])
def test_ward_goes_by_distance_and_average_by_cosine(linkage, nearest):
    means = np.array([[1, 0], [0.3, 0.3], [0.08, 0.06]])
    vectors = np.array([[0.95, 0.3122], [0.8, 0.6]], np.float32)
    found, closeness = nearest_mean(vectors, np.arange(2), means, linkage)
    assert found.tolist() == nearest
    cosines = vectors @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    np.testing.assert_allclose(closeness, cosines[[0, 1], nearest], rtol=1e-5)


def test_a_speaker_with_one_turn_is_in_the_tree():
    log, vectors, _ = blobs(40)
    turns = [(log.ids[i], [(log.speakers[w], log.texts[t]) for w, t in log.dialogue_turns(i)]) for i in range(40)]
    turns[33][1].append(("boss", "enough"))
    rare = Log.of(turns)
    rows = np.vstack([vectors, np.eye(16, dtype=np.float32)[15:]])
    order = [log.texts.index(text) if text != "enough" else len(vectors) for text in rare.texts]
    actions = find_actions(rare, rows[order], tree_turns=30)
    assert (actions.speaker == 2).sum() == 1


def test_equal_texts_share_an_action_and_seeds_repeat():
    log = Log.of((str(d), [("a", f"text {(d + i) % 5}") for i in range(4)]) for d in range(12))
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0][:5].astype(np.float32)
    for number in ("auto", 3, 5):
        actions = find_actions(log, vectors, number)
        for text in range(5):
            assert len(set(actions.turn[log.text == text].tolist())) == 1
        again = find_actions(log, vectors, number)
        assert (again.turn == actions.turn).all()
        assert again.gain == actions.gain


def test_more_actions_than_texts_are_reduced_with_a_warning(caplog: pytest.LogCaptureFixture):
    log = Log.of([("1", [("a", "one"), ("b", "two"), ("a", "three")])])
    actions = find_actions(log, np.eye(3, dtype=np.float32), 9)
    assert len(actions) == 3
    warnings = [record.args for record in caplog.records]
    assert ("a", 2) in warnings


@pytest.mark.parametrize(
    ("number", "named"), [(0, "0"), ({"a": 3}, "'b'"), ({"a": 1, "b": 1, "c": 1}, "'c'"), ("auto", "two dialogues")]
)
def test_invalid_numbers_of_actions_are_refused_by_name(number, named):
    log = Log.of([("1", [("a", "one"), ("b", "two")])])
    with pytest.raises(InputError) as caught:
        find_actions(log, np.eye(2, dtype=np.float32), number)
    assert caught.value.field == "--actions"
    assert named in caught.value.problem
    assert caught.value.remedy

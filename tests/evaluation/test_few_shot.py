"""Few-shot prototypes and closeness of labels, on vectors whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from nearfar.errors import InputError
from nearfar.evaluation.tasks.few_shot import few_shot, intra_inter, r_precision_ndcg, ranking_of_prototypes

ALTERNATING = [1, 0, 1] + [0] * 9


def clusters(spread: float, labels: int = 4, each: int = 8) -> tuple[np.ndarray, list[str]]:
    noise = np.random.default_rng(0).normal(size=(labels * each, 16)) * spread
    return np.repeat(np.eye(16)[:labels], each, 0) + noise, [f"label {row // each}" for row in range(labels * each)]


def test_clear_clusters_are_told_without_fault_and_noise_at_chance() -> None:
    vectors, labels = clusters(0.01)
    assert (few_shot(vectors, labels, 1).f1, few_shot(vectors, labels, 3).accuracy) == (1, 1)
    noise = np.random.default_rng(1).normal(size=(400, 8))
    found = few_shot(noise, [row % 4 for row in range(400)], 5)
    assert found.accuracy == pytest.approx(0.25, abs=0.06)
    assert len(found.f1_of_draws) == 10
    assert found.f1 == pytest.approx(np.mean(found.f1_of_draws))


def test_prototype_is_the_mean_of_unit_vectors_without_scaling() -> None:
    # Label 0 points in two directions, so its prototype is short; label 1's is not. The two kinds of label 0 lie at
    # 0.5 of either prototype if it is left short, and would win were it scaled.
    a, b = np.array([[1.0, 0, 0]]), np.array([[0.0, 1, 0]])
    vectors = np.concatenate([np.repeat(5 * a, 20, 0), np.repeat(b, 20, 0), np.repeat(3 * (a + b) / 2, 40, 0)])
    labels = [0] * 40 + [1] * 40
    assert few_shot(vectors, labels, 20, seed=3).accuracy < 0.6


def test_labels_with_too_few_vectors_are_left_out() -> None:
    vectors, labels = clusters(0.01, labels=3, each=8)
    labels[:3] = ["rare"] * 3
    assert few_shot(vectors, labels, 1).labels == 2  # five of label 0 are fewer than 1 + 5
    with pytest.raises(InputError, match="at least 2 labels with 10 or more vectors, got 0"):
        few_shot(vectors, labels, 5)


def test_closeness_within_and_between_is_that_of_all_pairs() -> None:
    vectors, labels = clusters(0.3, labels=3, each=5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = [[row for row, label in enumerate(labels) if label == name] for name in sorted(set(labels))]
    within = [np.mean([unit[i] @ unit[j] for i in rows for j in rows if i != j]) for rows in groups]
    centres = np.stack([vectors[rows].mean(0) for rows in groups])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    between = np.mean([centres[i] @ centres[j] for i in range(3) for j in range(3) if i != j])
    assert intra_inter(vectors, labels) == pytest.approx((np.mean(within), between))


def test_rank_of_ranks_against_plain_ndcg() -> None:
    assert r_precision_ndcg(ALTERNATING, 2) == pytest.approx(0.678587, abs=1e-6)
    assert r_precision_ndcg(ALTERNATING, 3) == pytest.approx(0.902044, abs=1e-6)
    assert ndcg_score([ALTERNATING], [list(range(12, 0, -1))], k=10) == pytest.approx(0.919721, abs=1e-6)


def test_both_ndcgs_of_prototypes() -> None:
    vectors, labels = clusters(0.01)
    standard, theirs = ranking_of_prototypes(vectors, labels)
    assert standard == pytest.approx(1)
    # 7 relevant at the top, and the example counted as an eighth that cannot be found: two groups of tied ranks.
    assert theirs == pytest.approx(r_precision_ndcg([1] * 7 + [0] * 21, 8))
    assert theirs < 1
    vectors, labels = clusters(0.5)
    standard, _ = ranking_of_prototypes(vectors, labels, draws=1, seed=2)
    assert standard == pytest.approx(ndcg_by_hand(vectors, labels, seed=2))


def ndcg_by_hand(vectors: np.ndarray, labels: list[str], seed: int) -> float:
    generator = np.random.default_rng(seed)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    orders = [generator.permutation(np.arange(8 * label, 8 * label + 8)) for label in range(4)]
    asked = np.concatenate([order[1:] for order in orders])
    gains = [(asked // 8 == label).astype(int) for label in range(4)]
    scores = [unit[asked] @ unit[order[0]] for order in orders]
    return float(ndcg_score(gains, scores, k=10))


@pytest.mark.parametrize(("shots", "draws"), [(0, 1), (1, 0)])
def test_nothing_to_measure(shots: int, draws: int) -> None:
    with pytest.raises(InputError, match="invalid shots"):
        few_shot(*clusters(0.1), shots, draws)


def test_closeness_needs_labels() -> None:
    with pytest.raises(InputError, match="at least 2 labels, one of them with 3 vectors"):
        intra_inter(np.eye(4), ["a", "a", "b", "b"])

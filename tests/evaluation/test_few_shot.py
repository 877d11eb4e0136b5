"""Few-shot prototypes and closeness of labels, on vectors whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset
from sklearn.metrics import ndcg_score

from nearfar.errors import InputError
from nearfar.evaluation.tasks import few_shot as task
from nearfar.evaluation.tasks.few_shot import (
    few_shot,
    intra_inter,
    measure_few_shot,
    r_precision_ndcg,
    ranking_of_prototypes,
)

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
    with pytest.raises(InputError, match=r"^label: .* 10 .*got 0"):
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
    with pytest.raises(InputError, match=r"^label: .* 3 "):
        intra_inter(np.eye(4), ["a", "a", "b", "b"])


def measured(vectors: np.ndarray, labels: list[str], monkeypatch: pytest.MonkeyPatch, seed: int = 0):
    monkeypatch.setattr(task, "item_vectors", lambda *_, **__: vectors)
    rows = Dataset.from_dict({"text": [str(i) for i in range(len(labels))], "label": labels})
    return measure_few_shot(None, rows, seed=seed)  # type: ignore[arg-type]


def test_one_example_and_five_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = clusters(0.5, labels=3, each=12)
    found = measured(vectors, labels, monkeypatch, seed=4)
    one, five = few_shot(vectors, labels, 1, 10, 4), few_shot(vectors, labels, 5, 10, 4)
    within, between = intra_inter(vectors, labels)
    assert found.metrics == pytest.approx({
        "f1_1_shot": one.f1, "accuracy_1_shot": one.accuracy, "f1_5_shot": five.f1, "accuracy_5_shot": five.accuracy,
        "within": within, "between": between,
    })  # fmt: skip
    assert (found.primary, found.n, found.per_item, len(found.notes)) == ("f1_1_shot", 36, None, 2)
    assert one.f1 < five.f1
    assert one.f1 != pytest.approx(one.accuracy, abs=1e-6)
    assert within > between
    assert found.metrics != measured(vectors, labels, monkeypatch, seed=5).metrics


def test_without_rows_for_five_examples_there_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(*clusters(0.5, labels=3, each=8), monkeypatch)
    assert set(found.metrics) == {"f1_1_shot", "accuracy_1_shot", "within", "between"}
    assert len(found.notes) == 2
    with pytest.raises(InputError):
        measured(*clusters(0.5, labels=3, each=5), monkeypatch)


@pytest.mark.parametrize(("shots", "least"), [(1, 6), (4, 9), (5, 10), (8, 16)])
def test_as_many_are_asked_as_are_shown_and_five_at_least(shots: int, least: int) -> None:
    vectors, labels = clusters(0.01, labels=2, each=least)
    assert few_shot(vectors, labels, shots).labels == 2
    vectors, labels = clusters(0.01, labels=2, each=least - 1)
    with pytest.raises(InputError):
        few_shot(vectors, labels, shots)


def test_what_is_shown_is_not_asked() -> None:
    # Vectors without any likeness: what is asked is told at chance, and what was shown would not be.
    vectors = np.eye(12)
    found = few_shot(vectors, ["a"] * 6 + ["b"] * 6, 1, draws=20)
    assert found.accuracy == 0.5  # of ties the first label wins


def test_labels_with_two_vectors_are_close_to_nobody() -> None:
    vectors = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1], [0, -1]])
    assert intra_inter(vectors, ["a", "a", "a", "b", "b"])[0] == pytest.approx(1.0)


def test_prototypes_of_several_examples_are_their_mean() -> None:
    # Of "b" each example points elsewhere; their mean lies between, where "b" is asked.
    vectors = np.concatenate([np.repeat([[1.0, 0, 0]], 16, 0), np.tile([[0.0, 1, 0], [0, 0, 1]], (8, 1))])
    labels = ["a"] * 16 + ["b"] * 16
    assert few_shot(vectors, labels, 8, draws=5).accuracy == 1.0
    assert few_shot(vectors, labels, 1, draws=20).accuracy < 1.0


def test_ideal_gain_is_that_of_the_relevant_ones() -> None:
    vectors, labels = clusters(0.01, labels=2, each=20)
    standard, _ = ranking_of_prototypes(vectors, labels, k=10)
    assert standard == pytest.approx(1)
    standard, _ = ranking_of_prototypes(vectors, labels, k=40)
    assert standard == pytest.approx(1)

from __future__ import annotations

import numpy as np
import pytest

from nearfar.evaluation.tasks.pair_classification import best_f1, similarity_ratio

SCORES, LABELS = np.array([0.9, 0.8, 0.75, 0.4, 0.3, 0.2]), np.array([1, 1, 0, 1, 0, 0])


def test_worked_example() -> None:
    best = best_f1(SCORES, LABELS)
    assert best.f1 == pytest.approx(6 / 7, abs=1e-6)
    assert (best.threshold, best.precision, best.recall) == (0.4, 0.75, 1.0)
    assert similarity_ratio(SCORES, LABELS) == pytest.approx(1.68)


@pytest.mark.parametrize("seed", range(5))
def test_random_scores_reach_two_thirds_and_little_more(seed) -> None:
    rng = np.random.default_rng(seed)
    assert 0.6666 <= best_f1(rng.random(1000), np.repeat([0, 1], 500)).f1 <= 0.70


def test_scores_that_separate_are_perfect() -> None:
    best = best_f1(np.array([0.1, 0.7, 0.2, 0.9]), np.array([0, 1, 0, 1]))
    assert best.f1 == pytest.approx(1)
    assert best.threshold == 0.7

"""Similarities of pairs that belong together, and of pairs that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from nearfar.evaluation.similarity import pair_similarity
from nearfar.models.encoding import encode

WORDS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank", "song", "card")
ROWS = Dataset.from_dict({"anchor": [f"the {w}" for w in WORDS], "positive": [f"a {w} today" for w in WORDS]})


def test_positives_are_ones_own_and_random_ones_are_anothers(tiny_model: Any) -> None:
    a, b = encode(tiny_model, list(ROWS["anchor"])), encode(tiny_model, list(ROWS["positive"]))
    shifts = set()
    for seed in range(4):
        found = pair_similarity(tiny_model, ROWS, seed=seed)
        assert found.positive.tolist() == pytest.approx((a * b).sum(1).tolist(), abs=1e-5)
        matching = [k for k in range(10) if np.allclose(found.random, (a * np.roll(b, k, axis=0)).sum(1), atol=1e-5)]
        assert len(matching) == 1
        shifts.add(matching[0])
    assert 0 not in shifts
    assert len(shifts) > 1


def test_a_limit_is_drawn_by_the_seed(tiny_model: Any) -> None:
    found = [pair_similarity(tiny_model, ROWS, limit=4, seed=seed).positive.tolist() for seed in (0, 0, 1)]
    assert [len(each) for each in found] == [4, 4, 4]
    assert found[0] == found[1] != found[2]

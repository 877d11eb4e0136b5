"""Repeated rows and near-duplicates."""

from __future__ import annotations

import itertools

import pytest
import torch
from datasets import Dataset

from nearfar.data import Retrieval
from nearfar.inspection.duplicates import near_duplicates, repeated_rows

from .helpers import random_unit, unit


@pytest.mark.parametrize("block", [5, 10_000])
def test_near_duplicates_are_all_found_once(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nearfar.inspection.duplicates._BLOCK", block)
    x = random_unit(30, 16)
    x[7] = unit(x[[20]] + 0.01 * random_unit(1, 16, 1))[0]
    x[29] = x[2]
    similarity = x @ x.T
    close = [(i, j) for i, j in itertools.combinations(range(30), 2) if similarity[i, j] >= 0.4]
    count, found = near_duplicates(torch.from_numpy(x), 0.4)
    assert count == len(close)
    assert {(i, j) for i, j, _ in found} == set(close)
    assert [(i, j) for i, j, _ in found[:2]] == [(2, 29), (7, 20)]
    assert near_duplicates(torch.from_numpy(x), 0.4, most=1) == (count, found[:1])


def test_repeated_rows_and_contradictions() -> None:
    rows = Dataset.from_dict({"text": ["Hello you", "other", "hello  YOU", "other", "new"], "label": list("xyzyx")})
    found = repeated_rows(rows)
    assert (found.count, found.contradictions) == (2, 1)
    assert found.examples == [(2, 0, True), (3, 1, False)]
    pairs = Dataset.from_dict({"anchor": ["a", "a", "a"], "positive": ["b", "c", "b"]})
    assert repeated_rows(pairs).examples == [(2, 0, False)]
    corpus = Retrieval({"d1": "one", "d2": "One"}, {"q": "?"}, {"q": {"d1": 1}})
    assert repeated_rows(corpus).examples == [("d2", "d1", False)]


def test_a_cosine_of_the_threshold_is_near_enough() -> None:
    count, pairs = near_duplicates(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 1.0)
    assert (count, pairs) == (1, [(0, 1, 1.0)])
    assert near_duplicates(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 0.0)[0] == 1

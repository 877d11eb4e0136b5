"""Hubness: worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearfar import geometry
from nearfar.errors import InputError


def test_k_occurrence_counts_each_neighbour() -> None:
    found = geometry.k_occurrence(torch.tensor([[1, 2], [0, 2], [0, 1], [0, 1]]), 4)
    assert found.tolist() == [3, 3, 2, 0]
    with pytest.raises(InputError, match="neighbours"):
        geometry.k_occurrence(torch.tensor([[1, 4]]), 4)


def test_hubness_is_the_skewness() -> None:
    # One of four is the neighbour of all: mean 1, deviations 3, -1, -1, -1; (27 - 3) / 4 / 3^1.5.
    assert geometry.hubness(torch.tensor([4, 0, 0, 0])) == pytest.approx(6 / 3**1.5)
    assert geometry.hubness(torch.tensor([2, 2, 2])) == 0
    assert geometry.hubness(torch.tensor([1, 2, 3])) == pytest.approx(0)
    with pytest.raises(InputError, match="at least 2"):
        geometry.hubness(torch.tensor([3]))


def test_a_planted_hub_is_seen() -> None:
    from nearfar.mining import nearest

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 100))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x += 0.5 * x[:1]  # all lean towards the first
    found = geometry.k_occurrence(nearest(torch.from_numpy(x), 5)[0], 300)
    assert int(found.argmax()) == 0
    # Nearly all have it among their five, where 5 is the mean.
    assert int(found[0]) > 250
    assert geometry.hubness(found) > 5

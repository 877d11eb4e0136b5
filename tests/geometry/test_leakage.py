"""What two spaces know in common."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nearfar.errors import InputError
from nearfar.geometry import leakage


def spaces(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_grid_of_all_pairs_of_codes_shares_nothing() -> None:
    rows, columns = (x.flatten() for x in torch.meshgrid(torch.arange(6), torch.arange(5), indexing="ij"))
    found = leakage(spaces(6, 4)[rows], spaces(5, 3, 1)[columns])
    assert found.nats == pytest.approx(0, abs=1e-12)
    assert found.explained == 0


def test_a_copy_shares_as_much_as_there_is_to_know() -> None:
    kinds = torch.arange(40) % 4
    found = leakage(spaces(4, 8)[kinds], spaces(4, 8, 1)[kinds], temperature=0.01)
    assert found.nats == pytest.approx(math.log(4), abs=0.01)
    assert found.most == pytest.approx(math.log(4), abs=0.01)
    assert found.nats <= found.most
    assert found.explained == pytest.approx(1, abs=0.02)


def test_related_spaces_share_more_than_shuffled_ones() -> None:
    a = spaces(200, 4)
    related, apart = leakage(a, a[:, :2] + 0.1 * spaces(200, 2, 1)), leakage(a, spaces(200, 2, 2))
    assert related.nats > 3 * related.shuffled
    assert related.explained > 0.3
    assert apart.nats < related.nats / 2
    assert apart.explained < 0.05


def test_neither_place_nor_size_of_a_space_matters() -> None:
    a, b = spaces(50, 4), spaces(50, 3, 1)
    moved = leakage(7 * a + 100, b.float().numpy() / 1000)
    plain = leakage(a, b)
    assert moved.nats == pytest.approx(plain.nats, abs=1e-5)
    assert moved.explained == pytest.approx(plain.explained, abs=1e-5)


def test_equal_vectors_share_nothing() -> None:
    found = leakage(np.ones((12, 3)), np.ones((12, 2)))
    assert (found.nats, found.most, found.explained) == (0, 0, 0)


def test_too_few_items_and_different_numbers_of_them_are_refused() -> None:
    for a, b in ((spaces(9, 2), spaces(9, 2)), (spaces(12, 2), spaces(11, 2))):
        with pytest.raises(InputError):
            leakage(a, b)

"""Hubness, spectrum and IsoScore: worked numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nearfar import geometry
from nearfar.errors import InputError

AXES = torch.cat([torch.eye(3), -torch.eye(3)]).double()


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


def test_spectrum_sums_to_one_and_falls() -> None:
    x = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    shares = geometry.spectrum(x)
    assert float(shares.sum()) == pytest.approx(1)
    assert (shares[:-1] >= shares[1:]).all()
    assert geometry.spectrum(AXES).tolist() == pytest.approx([1 / 3] * 3)


def test_iso_score_of_known_sets() -> None:
    assert geometry.iso_score(AXES) == pytest.approx(1)
    line = torch.tensor([[1.0, 0, 0], [-1, 0, 0]])
    assert geometry.iso_score(line) == pytest.approx(0, abs=1e-9)
    # Two of three directions alike: variances (1, 1, 0) sqrt(3) / sqrt(2), which is 2 of 3 dimensions: (2 - 1) / 2.
    flat = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])
    assert geometry.iso_score(flat) == pytest.approx(0.5)
    with pytest.raises(InputError, match="one dimension"):
        geometry.iso_score(torch.tensor([[1.0], [-1.0]]))
    with pytest.raises(InputError, match="variance"):
        geometry.iso_score(torch.ones(4, 3))


def test_iso_score_does_not_see_where_the_mean_lies() -> None:
    """A round cone scores high, and `isotropy` near 0: they say different things."""
    g = torch.Generator().manual_seed(1)
    cone = torch.cat([torch.full((4000, 1), 50.0), torch.randn(4000, 30, generator=g)], dim=1).double()
    assert geometry.iso_score(cone) > 0.9
    assert geometry.isotropy(cone) < 0.2

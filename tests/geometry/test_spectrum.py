"""Spectrum and IsoScore: worked numbers."""

from __future__ import annotations

import pytest
import torch

from nearfar import geometry
from nearfar.errors import InputError

AXES = torch.cat([torch.eye(3), -torch.eye(3)]).double()


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


def test_iso_score_does_not_depend_on_the_mean() -> None:
    """A round cone scores high, and `isotropy` near 0: they measure different things."""
    g = torch.Generator().manual_seed(1)
    cone = torch.cat([torch.full((4000, 1), 50.0), torch.randn(4000, 30, generator=g)], dim=1).double()
    assert geometry.iso_score(cone) > 0.9
    assert geometry.isotropy(cone) < 0.2

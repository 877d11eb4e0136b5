"""Blocks of rows: their size changes no measure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nearfar import geometry


def vectors(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, labels = vectors(50, 6), vectors(50, 6, seed=1), torch.arange(50) % 7

    def everything() -> list[float]:
        ones = (geometry.uniformity, geometry.mean_cosine, geometry.isotropy, geometry.effective_rank)
        of_rows = geometry.effective_negatives(x, y, temperature=0.3).tolist()
        shares = geometry.explained_variance(x).tolist()
        both = (geometry.alignment(x, y), geometry.centroid_distance(x, y), geometry.cross_uniformity(x, y))
        return [f(x) for f in ones] + [*both, geometry.cone(x), geometry.tolerance(x, labels), *shares, *of_rows]

    whole = everything()
    for block in (1, 7, 50):
        monkeypatch.setattr("nearfar.geometry._rows.BLOCK", block)
        assert everything() == pytest.approx(whole, rel=1e-12)

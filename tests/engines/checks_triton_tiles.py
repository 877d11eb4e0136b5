"""The kernels of tiles against the reference. test_triton_tiles.py runs this file in a process of its own."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from cases import gap, value_and_gradients
from triton_cases import OBLONG, OPTIONS, SQUARE, TOLERANCE, on_device, tiles, world

from nearfar.engines import triton_tiles

__all__ = ["on_device"]


@pytest.mark.parametrize("programs", [1, 256])
@pytest.mark.parametrize("far_", ["none", "self"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_tiles_equal_dense(far_: str, dtype: torch.dtype, programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_tiles, "PROGRAMS", programs)  # one program for all tiles; one for each
    for (case, tile), options in product(((OBLONG, 16), (OBLONG, 32), (SQUARE, 16)), OPTIONS):
        expected = value_and_gradients(case, "paired", far_, "dense", dtype, **options)
        difference, where = gap(value_and_gradients(case, "paired", far_, tiles(tile), dtype, **options), expected)
        assert difference < TOLERANCE[dtype], (options, case.n, tile, where)


@pytest.mark.parametrize("d", [1, 16, 40, 150])
def test_tiles_of_any_width(d: int) -> None:
    case = world(18, 35, d)
    for tile in (16, None):
        expected = value_and_gradients(case, "paired", "self", "dense")
        difference, where = gap(value_and_gradients(case, "paired", "self", tiles(tile)), expected)
        assert difference < 1e-10, (tile, where)


def test_tiles_and_panels_share_a_shard_s_diagonal() -> None:
    a, c = OBLONG.anchors, OBLONG.candidates
    tau = torch.tensor(0.5, dtype=a.dtype)
    x = a @ c.T / tau
    for i in range(7):
        x[i, i + 6] = -torch.inf
    logz = triton_tiles.logsumexps(a, c, tau, (6, 7), "ieee", 16)
    torch.testing.assert_close(logz, x.logsumexp(1), rtol=1e-10, atol=0)
    scale = torch.rand(len(a), dtype=a.dtype)
    g = scale[:, None] * (x - logz[:, None]).exp()
    for own, others, of_anchors, expected in ((a, c, True, g @ c), (c, a, False, g.T @ a)):
        out = torch.full_like(own, torch.nan)
        triton_tiles.gradient(out, own, others, tau, logz, scale, (6, 7), of_anchors, "ieee", 16)
        torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-12)


def test_a_frozen_side_costs_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    run = triton_tiles.gradient

    def counted(
        out: Any, own: Any, others: Any, t: Any, logz: Any, scale: Any, left: Any, of_anchors: bool, *rest: Any
    ):
        calls.append(of_anchors)
        run(out, own, others, t, logz, scale, left, of_anchors, *rest)

    monkeypatch.setattr(triton_tiles, "gradient", counted)
    value_and_gradients(OBLONG, "paired", "none", tiles(), frozen=("candidates",))
    assert calls == [True]
    value_and_gradients(OBLONG, "paired", "none", tiles(), frozen=("anchors",))
    assert calls == [True, False]


def test_an_empty_row_is_not_nan() -> None:
    a, c = OBLONG.anchors[:3], OBLONG.candidates[:1]
    tau = torch.tensor(0.5, dtype=a.dtype)
    logz = triton_tiles.logsumexps(a, c, tau, (0, 3), "ieee", 16)
    assert logz[0] == -torch.inf
    assert torch.isfinite(logz[1:]).all()

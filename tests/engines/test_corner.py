"""The blocks of the upper triangle: their shapes, which are kept, and the same result whatever is kept."""

from __future__ import annotations

import math

import pytest
import torch
from cases import Products

from nearfar import contrast, far, near
from nearfar.engines import Problem, Streaming, corner
from nearfar.engines.corner import MOST_ROWS, Corner
from nearfar.engines.similarity_blocks import LEAST_ROWS

N = 75
Z = torch.randn(N, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
WIDE, WHOLE = 25 * 75, 25 * (75 + 50 + 25)  # entries of the widest block, and of all three


def problem(n: int) -> Problem:
    z = torch.zeros(n, 1)
    return Problem(z, z, near.paired(), None, torch.tensor(1.0))


@pytest.mark.parametrize(("n", "expected"), [(50, 50), (1_000, LEAST_ROWS), (4_000, 400), (20_000, MOST_ROWS)])
def test_rows_of_a_block(n: int, expected: int) -> None:
    rows, a, x = next(Corner(problem(n), None, keep=False).first_pass())
    assert (rows.stop, len(a), x.shape) == (expected, expected, (expected, n))
    assert math.prod(x.shape) <= n * MOST_ROWS


def test_memory_is_bounded_whatever_is_kept() -> None:
    blocks = Corner(problem(20_000), None, keep=True)
    kept = sum(memory.numel() for memory in blocks._blocks[:-1])
    assert 0 < kept * 4 <= corner.KEPT_BLOCKS * corner.block_bytes(torch.device("cpu"))
    assert blocks.kept < len(blocks.rows)
    assert Corner(problem(4_096), None, keep=True).kept == len(Corner(problem(4_096), None, keep=True).rows)
    assert Corner(problem(4_096), None, keep=False).kept == 0


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (WIDE - 1, 0), (WIDE, 1), (WHOLE - 1, 2), (WHOLE, 3)])
def test_the_same_result_with_a_product_less_for_each_block_that_is_kept(
    room: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corner, "block_bytes", lambda device: room * Z.element_size() / corner.KEPT_BLOCKS)
    labels = torch.arange(N) // 2
    outcomes = []
    for engine in ("dense", Streaming(25)):
        z, u = Z.clone().requires_grad_(), Z[:, :2].clone().requires_grad_()
        with Products() as counted:
            distance = far.except_self() + far.by_distance(u, u, 0.7)
            loss = contrast(z, z, near.same_label(labels), far.except_self(), temperature=0.3, engine=engine)
        with_distance = contrast(z, z, near.same_label(labels), distance, temperature=0.3, engine=engine)
        outcomes.append([loss, *torch.autograd.grad(loss, z), *torch.autograd.grad(with_distance, (z, u))])
    assert counted.count == 12 - kept
    for got, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("block_rows", [1, 30, N])
@pytest.mark.parametrize("room", [0, WIDE, 10**6])
def test_both_passes_cover_the_upper_triangle(block_rows: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corner, "block_bytes", lambda device: room * Z.element_size() / corner.KEPT_BLOCKS)
    tau = torch.tensor(0.5, dtype=Z.dtype)
    blocks = Corner(Problem(Z, Z, near.paired(), None, tau), block_rows, keep=True)
    expected, upper = Z @ Z.T / tau, torch.ones(N, N).triu() > 0
    first, second = torch.full((N, N), torch.nan, dtype=Z.dtype), torch.full((N, N), torch.nan, dtype=Z.dtype)
    for rows, a, x in blocks.first_pass():
        torch.testing.assert_close(a, Z[rows] / tau)
        first[rows, rows.start :] = x
        blocks.to_overwrite(x, rows).zero_()  # what is kept stays
    for rows, a, x, kept in blocks.second_pass():
        torch.testing.assert_close(a, Z[rows] / tau)
        assert kept == (blocks.rows.index(rows) < blocks.kept)
        second[rows, rows.start :] = x
    torch.testing.assert_close(first[upper], expected[upper])
    torch.testing.assert_close(second[upper], expected[upper])

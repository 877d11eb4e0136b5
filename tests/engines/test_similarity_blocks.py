"""Blocks of S: what is in them, how many rows they have, and the memory that they share."""

from __future__ import annotations

import math

import pytest
import torch

from nearfar import far, near
from nearfar.engines.problem import Problem
from nearfar.engines.similarity_blocks import BLOCK_BYTES, LEAST_ROWS, row_blocks

A, C = torch.randn(7, 3), torch.randn(5, 3)
TAU = torch.tensor(0.5)


@pytest.mark.parametrize("block_rows", [1, 3, 7, 100])
def test_blocks_of_rows_cover_all_similarities(block_rows: int) -> None:
    found, places = torch.full((7, 5), torch.nan), []
    for rows, a, x in row_blocks(Problem(A, C, near.paired(), None, TAU), block_rows):
        torch.testing.assert_close(a, A[rows] / TAU)
        found[rows] = x
        places.append(x.data_ptr())
    torch.testing.assert_close(found, A @ C.T / TAU)
    assert len(places) == math.ceil(7 / block_rows)
    assert len(set(places)) == 1, "every block in the same memory"


def test_blocks_are_bounded_but_never_thin() -> None:
    for m in (1_000, 1_000_000):
        problem = Problem(torch.zeros(20_000, 1), torch.zeros(m, 1), near.paired(), None, torch.tensor(1.0))
        rows, _, x = next(row_blocks(problem, None))
        assert rows.stop == max(LEAST_ROWS, math.floor(BLOCK_BYTES["cpu"] / m / 4))
        assert x.shape == (rows.stop, m)


def test_builders_that_make_blocks_share_the_room() -> None:
    a, c = torch.randn(20_000, 2), torch.randn(1_024, 2)
    rows = {}
    for far_ in (None, far.masked(torch.zeros(1, 1).expand(20_000, 1_024) > 0), far.except_likely_positives(a, c)):
        problem = Problem(a, c, near.paired().transposed(), far_, torch.tensor(1.0)).bound()
        rows[far_] = next(row_blocks(problem, None))[0].stop
    bare, masked, guided = rows.values()
    assert bare == masked
    assert guided == bare * 3 // 8

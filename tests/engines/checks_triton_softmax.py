"""Fused kernels against plain torch. test_triton_softmax.py runs this file in a process of its own."""

from __future__ import annotations

import math

import pytest
import torch
from triton_cases import on_device

from nearfar.engines.softmax import Softmax
from nearfar.engines.triton_softmax import FusedSoftmax

__all__ = ["on_device"]

SOFTMAX = FusedSoftmax(row_chunk=32, tile=(4, 32))


@pytest.mark.parametrize("reach", [10.0, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_operation_is_that_of_plain_torch(dtype: torch.dtype, reach: float) -> None:
    x = torch.rand(9, 70, dtype=dtype) * 18 - 9
    x[2, 3] = x[4] = x[:, 5] = -torch.inf
    row, column = torch.rand(9, dtype=dtype) - 9, torch.rand(70, dtype=dtype) - 9
    row[1] = column[7] = -torch.inf
    found = []
    for softmax in (FusedSoftmax(row_chunk=32, tile=(4, 32)), Softmax()):
        one, both = x.clone(), x.clone()
        z, top = softmax.exponentiate(one, reach=reach)
        softmax.exponentiate_both(both, row, column, reach)
        found.append((top + z.log(), one * top.exp()[:, None], *softmax.logsumexps(x.clone(), reach), both))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)


def test_an_empty_row_is_not_nan() -> None:
    x = torch.full((3, 40), -torch.inf)
    x[1, 20] = 2.0
    z, top = SOFTMAX.exponentiate(x.clone())
    assert z.tolist() == [0, 1, 0]
    assert top[1] == 2
    rows, columns = SOFTMAX.logsumexps(x.clone())
    assert rows.tolist() == [-torch.inf, 2, -torch.inf]
    assert columns[20] == 2
    assert columns.isneginf().sum() == 39

"""The elementwise work on a block against plain torch, with and without a bound that saves sweeps."""

from __future__ import annotations

import math

import pytest
import torch

from nearfar.engines.softmax import SLICE_BYTES, Softmax


def block(rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    x = (torch.rand(rows, columns, generator=g, dtype=torch.float64) * 18 - 9).to(dtype)
    x[2, 3] = x[4] = x[:, 5] = -torch.inf
    return x


@pytest.mark.parametrize("reach", [9.0, math.inf], ids=["bounded", "unbounded"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("columns", [70, SLICE_BYTES // 16], ids=["one slice", "slices of two to four rows"])
def test_every_operation(dtype: torch.dtype, reach: float, columns: int) -> None:
    x, softmax = block(9, columns, dtype), Softmax()
    row, column = -x[:, 0].clone(), torch.linspace(-9, 0, columns, dtype=dtype)
    row[1] = row[4] = column[7] = -torch.inf

    z, top = softmax.exponentiate(e := x.clone(), reach=reach)
    torch.testing.assert_close(top + z.log(), x.logsumexp(1))
    torch.testing.assert_close(e * top.exp()[:, None], x.exp())
    rows, columns_ = softmax.logsumexps(x.clone(), reach)
    torch.testing.assert_close(rows, x.logsumexp(1))
    torch.testing.assert_close(columns_, x.logsumexp(0))
    softmax.exponentiate_both(both := x.clone(), row, column, reach)
    torch.testing.assert_close(both, (x + row[:, None]).exp() + (x + column).exp())


def test_sums_near_the_largest_number_do_not_overflow() -> None:
    # exp(86) is a float32, a thousand times that is not.
    x = torch.full((3, 1_000), 86.0)
    z, top = Softmax().exponentiate(x.clone(), reach=86.0)
    rows, columns = Softmax().logsumexps(x.clone(), 86.0)
    expected = torch.full((3,), 86 + math.log(1_000))
    torch.testing.assert_close(top + z.log(), expected)
    torch.testing.assert_close(rows, expected)
    torch.testing.assert_close(columns, torch.full((1_000,), 86 + math.log(3)))

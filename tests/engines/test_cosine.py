"""Unit rows and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from nearfar.engines.cosine import unit_rows


def test_values_and_gradients_are_torchs() -> None:
    torch.manual_seed(0)
    x, upstream = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    x[1] *= 1e-6
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    torch.testing.assert_close(unit_rows(mine), F.normalize(theirs, dim=1))
    (unit_rows(mine) * upstream).sum().backward()
    (F.normalize(theirs, dim=1) * upstream).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_a_row_of_zeros_stays_one() -> None:
    assert unit_rows(torch.zeros(2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_derivatives_of_the_gradient() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(unit_rows, (x,))
    assert torch.autograd.gradcheck(unit_rows, (x,))


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3])
def test_the_gradient_has_no_part_along_the_row(length: float) -> None:
    x = (torch.tensor([[3.0, 4.0]]) * length).requires_grad_()
    unit_rows(x).square().sum().backward()
    assert x.grad is not None
    assert float((x.grad * x.detach()).sum().abs()) < 1e-5

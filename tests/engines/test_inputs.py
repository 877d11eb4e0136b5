"""Arguments of a contrast as engines expect them."""

from __future__ import annotations

import pytest
import torch

from nearfar.engines.inputs import common_dtype, full_precision, scalar, vectors

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sums_are_in_single_precision_at_least(dtype: torch.dtype) -> None:
    x = torch.ones(2, 3, dtype=dtype)
    assert common_dtype(x, x) == torch.float32
    assert common_dtype(x, x.double()) == torch.float64
    assert vectors(x, torch.float32, "dot").dtype == torch.float32


def test_cosines_are_products_of_unit_rows() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-3, 0.0]])
    assert vectors(x, torch.float32, "cosine").tolist() == [pytest.approx([0.6, 0.8]), [0, 0], pytest.approx([1, 0])]
    assert vectors(x, torch.float32, "dot").tolist() == x.tolist()
    assert vectors(x.T, torch.float32, "dot").is_contiguous()


def test_a_temperature_is_one_positive_number() -> None:
    assert scalar(0.5, CPU, torch.float64).dtype == torch.float64
    learned = torch.tensor([0.5], requires_grad=True)
    found = scalar(learned, CPU, torch.float32)
    assert found.shape == ()
    found.backward()
    assert learned.grad is not None
    for wrong in (0.0, -1.0, float("inf"), float("nan"), torch.ones(2), torch.ones(0)):
        with pytest.raises(ValueError, match="temperature"):
            scalar(wrong, CPU, torch.float32)


def test_autocast_does_not_reach_the_sums() -> None:
    x = torch.rand(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with full_precision("cpu"):
            assert (x @ x).dtype == torch.float32
    with full_precision("cpu"):
        assert (x @ x).dtype == torch.float32

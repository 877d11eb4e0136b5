"""Cosines and labels of four pairs, and a comparison, for the tests of graded losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


S, Y = vector(0.9, 0.2, 0.6, 0.4), vector(1, 0, 0.8, 0.8)


def close(value: Any, expected: Any, tolerance: float = 1e-6) -> None:
    value, expected = (torch.as_tensor(each, dtype=torch.float64) for each in (value, expected))
    torch.testing.assert_close(value, expected, atol=tolerance, rtol=0)

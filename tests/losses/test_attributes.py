"""A salient code supervised by attributes."""

from __future__ import annotations

import math

import pytest
import torch

from nearfar.losses.attributes import attribute_loss, attribute_pull
from nearfar.losses.kernel_density import spread

S = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)


def test_rows_with_equal_attributes_are_pulled_together() -> None:
    # Of three pairs, only the first and the last row have the same attribute: 3^2 / 3.
    assert float(attribute_pull(S, torch.tensor([2.0, 1.0, 2.0]), discrete=True)) == pytest.approx(3)


def test_rows_with_similar_attributes_are_pulled_by_how_similar_they_are() -> None:
    a = torch.tensor([0.0, 0.1, 0.3], dtype=torch.float64)
    pairs = {(0, 1): 0.1, (0, 2): 0.3, (1, 2): 0.2}
    expected = sum(math.exp(-(d**2) / 0.05) * float(S[i] - S[j]) ** 2 for (i, j), d in pairs.items()) / 3
    assert float(attribute_pull(S, a)) == pytest.approx(expected, abs=1e-12)


def test_the_mean_over_attributes() -> None:
    target = torch.tensor([True, True, False, True])
    s = torch.tensor([[0.0, 1.0], [1.0, 2.0], [2.0, 0.5], [3.0, 0.0]], dtype=torch.float64)
    attributes = torch.tensor([[0.0, 1.0], [0.5, 1.0], [9.0, 9.0], [1.0, 2.0]], dtype=torch.float64)
    found = float(attribute_loss(s, target, attributes, [False, True]))
    terms = []
    for k, (exact, width) in enumerate(((False, 0.025), (True, 0.5))):
        pull = float(attribute_pull(s[target, k], attributes[target, k], exact))
        masked = torch.where(target, s[:, k], torch.zeros(4, dtype=torch.float64))[:, None]
        terms.append((pull + float(s[2, k]) ** 2 / (2 * width)) / 2 + float(spread(masked)))
    assert found == pytest.approx(sum(terms) / 2, abs=1e-10)


def test_no_target_and_one_target_are_finite() -> None:
    s = torch.randn(3, 1, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for target in (torch.zeros(3, dtype=torch.bool), torch.arange(3) == 1):
        value = attribute_loss(s, target, torch.zeros(3, 1), [True])
        (gradient,) = torch.autograd.grad(value, s)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()

"""Acceptance and expected tokens of a drafter."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.theory import acceptance_rate, expected_tokens, speed_up


def test_acceptance_is_one_minus_total_variation() -> None:
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])
    assert float(acceptance_rate(p, q)) == pytest.approx(0.7)
    assert float(acceptance_rate(p, p)) == pytest.approx(1)
    laws = torch.randn(2, 200, 5, generator=torch.Generator().manual_seed(0)).softmax(-1)
    kl = (laws[0] * (laws[0] / laws[1]).log()).sum(-1)
    assert (1 - acceptance_rate(laws[0], laws[1]) <= (kl / 2).sqrt() + 1e-6).all()


def test_equal_rates_give_the_geometric_sum() -> None:
    assert expected_tokens([0.8] * 4) == pytest.approx((1 - 0.8**5) / (1 - 0.8))
    assert expected_tokens([]) == 1
    assert expected_tokens([1, 1, 1]) == 4
    assert expected_tokens([0.5, 0.2]) == pytest.approx(1 + 0.5 + 0.1)
    with pytest.raises(InputError, match="rates"):
        expected_tokens([1.2])


def test_drafting_costs_time() -> None:
    assert speed_up([0.5, 0.2]) == pytest.approx(1.6)
    assert speed_up([0.5, 0.2], cost=0.1) == pytest.approx(1.6 / 1.2)

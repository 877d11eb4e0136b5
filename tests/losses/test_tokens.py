from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from nearfar.losses.tokens import SelfContrast, self_contrast


def test_worked() -> None:
    states = torch.tensor([[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]])
    assert self_contrast(states, 0.5).item() == pytest.approx(0.133333, abs=5e-7)
    assert self_contrast(torch.eye(4)[None], 0.5).item() == 0
    assert self_contrast(torch.ones(1, 4, 3), 0.5).item() == pytest.approx(0.5)


def test_zero_exactly_where_no_cosine_is_above_one_minus_the_margin() -> None:
    states = torch.tensor([[[1.0, 0.0], [0.6, 0.8]]])
    assert self_contrast(states, 0.39).item() == 0
    assert self_contrast(states, 0.41).item() == pytest.approx(0.01, abs=1e-6)


def test_padding_takes_no_part() -> None:
    torch.manual_seed(0)
    short, long = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    real = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
    both = torch.cat([torch.cat([short, torch.ones(1, 2, 8)], 1), long])
    expected = (6 * self_contrast(short, 0.9) + 20 * self_contrast(long, 0.9)) / 26
    torch.testing.assert_close(self_contrast(both, 0.9, real), expected)


def test_the_gradient_pushes_states_apart() -> None:
    torch.manual_seed(0)
    states = (torch.randn(1, 6, 4) + 3).requires_grad_()
    loss = self_contrast(states, 0.5)
    loss.backward()
    assert states.grad is not None
    with torch.no_grad():
        assert self_contrast(states - 0.5 * states.grad, 0.5) < loss


def test_as_a_term_it_reads_the_last_layer() -> None:
    states = torch.tensor([[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]])
    output = SimpleNamespace(hidden_states=(torch.ones_like(states), states))
    assert SelfContrast(0.5, weight=3.0)(output, torch.zeros(1, 3)).item() == pytest.approx(0.4, abs=1e-6)

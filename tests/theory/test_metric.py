"""The pulled-back Fisher-Rao metric: worked numbers, and the identities of a linear softmax head."""

from __future__ import annotations

import math

import pytest
import torch

from nearfar.theory import (
    Laws,
    average_metric,
    fisher_rao,
    jeffreys,
    laws,
    metric_spectrum,
    path_integral,
    sensitivity,
)

W = torch.tensor([[1.0, 0], [0, 1], [-1, -1]], dtype=torch.float64)
H = torch.tensor([0.5, 0.0], dtype=torch.float64)


def law(h: torch.Tensor) -> torch.Tensor:
    return (W @ h).softmax(0)


def test_worked_numbers() -> None:
    p = law(H)
    assert p.tolist() == pytest.approx([0.5065, 0.3072, 0.1863], abs=1e-4)
    g = fisher_rao(W, p)
    assert g.flatten().tolist() == pytest.approx([0.5903, 0.1476, 0.1476, 0.4789], abs=1e-4)
    found = metric_spectrum(g)
    assert found.eigenvalues.tolist() == pytest.approx([0.6924, 0.3768], abs=1e-4)
    assert found.trace == pytest.approx(1.0692, abs=1e-4)
    assert found.trace == pytest.approx(float((p * (W - p @ W).square().sum(1)).sum()))
    torch.testing.assert_close(fisher_rao(W + torch.tensor([3.0, -1]), p), g)


def test_kl_of_a_small_step_is_half_the_squared_length() -> None:
    v = torch.tensor([1.0, -1], dtype=torch.float64)
    length = sensitivity(lambda h: W @ h, H, v)
    assert length == pytest.approx(float(v @ fisher_rao(W, law(H)) @ v))
    found = []
    for step in (0.1, 0.01, 0.001):
        p, q = law(H + step * v), law(H)
        found.append(float((p * (p / q).log()).sum()) / (step**2 / 2 * length))
    assert found == pytest.approx([0.9737, 0.9976, 0.9998], abs=1e-4)


def test_jeffreys_is_the_path_integral_and_at_least_the_geodesic() -> None:
    end = torch.tensor([-1, 0.7], dtype=torch.float64)
    p, q = law(H), law(end)
    assert path_integral(H, end, W) == pytest.approx(0.914906, abs=1e-6)
    assert path_integral(H, end, W) == pytest.approx(float(jeffreys(p, q)), abs=1e-9)
    bc = float((p * q).sqrt().sum())
    assert bc == pytest.approx(0.8902, abs=1e-4)
    assert 4 * math.acos(bc) ** 2 == pytest.approx(0.8946, abs=1e-4)
    assert 4 * math.acos(bc) ** 2 <= path_integral(H, end, W)


def test_the_average_is_the_mean_over_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "_NUMBERS", 20)
    monkeypatch.setattr(laws, "_KEPT", 0)
    generator = torch.Generator().manual_seed(0)
    states, head = torch.randn(12, 6, generator=generator), torch.randn(5, 6, generator=generator)
    p = (states @ head.T).softmax(1)
    expected = torch.stack([fisher_rao(head, row) for row in p]).mean(0)
    streamed = (Laws.of_head(part, head) for part in states.split(5))
    for found in (average_metric(Laws.of_head(states, head), head), average_metric(streamed, head)):
        assert float((found - expected).norm() / expected.norm()) < 1e-5
        values = metric_spectrum(found).eigenvalues
        assert int((values > 1e-6).sum()) == 4  # at most v - 1, which is less than d
        assert float(torch.linalg.eigvalsh(found).min()) > -1e-6


def test_sensitivity_of_an_inner_layer_is_that_of_the_jacobian() -> None:
    generator = torch.Generator().manual_seed(0)
    head, inner = torch.randn(7, 4, generator=generator), torch.randn(4, 3, generator=generator)
    h, v = torch.randn(3, generator=generator), torch.randn(3, generator=generator)

    def logits_of(state: torch.Tensor) -> torch.Tensor:
        return head @ (inner @ state).tanh()

    jacobian = torch.func.jacrev(lambda state: (inner @ state).tanh())(h).double()
    g = jacobian.T @ fisher_rao(head, logits_of(h).softmax(0)) @ jacobian
    assert sensitivity(logits_of, h, v) == pytest.approx(float(v.double() @ g @ v.double()), rel=1e-4)


def test_how_many_directions() -> None:
    found = metric_spectrum(torch.diag(torch.tensor([2.0, 2, 0])))
    assert (found.effective_rank, found.participation_ratio) == pytest.approx((2, 2))

"""Categorical entropies: worked numbers, and the gap of a model."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.theory import categorical_entropy, stochasticity_gap

P = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("divergence", "order", "expected"),
    [
        ("kl", 0.5, 1.0397),
        ("total variation", 0.5, 0.6250),
        ("hellinger", 0.5, 0.3964),
        ("chi squared", 0.5, 2.0),
        ("renyi", 0.5, 1.0098),
        ("renyi", 1.5, 1.0696),
    ],
)
def test_worked_numbers_and_a_deterministic_law(divergence: str, order: float, expected: float) -> None:
    found = categorical_entropy(P, divergence, order)  # pyright: ignore[reportArgumentType]
    assert found.tolist() == pytest.approx([expected, 0.0], abs=1e-4)


def test_they_are_the_divergence_from_two_independent_draws() -> None:
    """KL and chi squared by their definition, of the joint law of an equal pair and of two independent draws."""
    p = torch.rand(5, generator=torch.Generator().manual_seed(0)).double()
    p /= p.sum()
    equal, independent = p.diag(), p.outer(p)
    kl = (torch.xlogy(equal, equal) - torch.xlogy(equal, independent)).sum()
    chi_squared = (equal.square() / independent).sum() - 1
    assert float(categorical_entropy(p[None])) == pytest.approx(float(kl))
    assert float(categorical_entropy(p[None], "chi squared")) == pytest.approx(float(chi_squared))


def test_reverse_kl_and_bad_orders_are_refused() -> None:
    with pytest.raises(InputError, match="divergence"):
        categorical_entropy(P, "reverse kl")  # pyright: ignore[reportArgumentType]
    for order in (0.0, 1.0, 2.0):
        with pytest.raises(InputError, match="order"):
            categorical_entropy(P, "renyi", order)


def test_the_true_law_has_no_gap_and_a_sharper_one_a_negative_gap() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 6, generator=generator)
    p = logits.softmax(1)
    tokens = p.multinomial(1, generator=generator).flatten()
    assert stochasticity_gap(p, tokens) == pytest.approx(0, abs=0.02)
    assert stochasticity_gap((3 * logits).softmax(1), tokens) < -0.5

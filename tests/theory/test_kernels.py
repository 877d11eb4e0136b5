"""Predictive-similarity kernels and their operators on a chain whose spectrum is known."""

from __future__ import annotations

import math

import pytest
import torch

from nearfar.errors import InputError
from nearfar.theory import Laws, dirichlet_energy, kernels, laws, operator, processes, spectrum

T = processes.hierarchical_chain()


def test_the_chain() -> None:
    assert T[0].tolist() == pytest.approx([0.325, 0.225, 0.125, 0.125, 0.05, 0.05, 0.05, 0.05])
    assert T.sum(0).tolist() == pytest.approx([1] * 8)
    entropy = float(Laws.of(T).entropies().mean())
    assert entropy == pytest.approx(1.819906, abs=1e-6)
    assert math.log(8) - entropy == pytest.approx(0.259535, abs=1e-6)
    assert float(spectrum(kernels.chi(T)).sum()) / 2 == pytest.approx(0.29)


def test_spectra_of_the_chain() -> None:
    linear = [0.125, 0.045, *[0.01125] * 2, *[0.00125] * 4]
    assert spectrum(kernels.linear(T), centred=False).tolist() == pytest.approx(linear, abs=1e-9)
    assert spectrum(kernels.chi(T)).tolist() == pytest.approx([0.36, 0.09, 0.09, *[0.01] * 4, 0], abs=1e-9)
    bc = [0.87514, 0.09183, *[0.01422] * 2, *[0.00115] * 4]
    assert spectrum(kernels.bhattacharyya(T), centred=False).tolist() == pytest.approx(bc, abs=1e-5)


def test_dirichlet_energy_of_the_chain() -> None:
    half = torch.tensor([1.0] * 4 + [-1] * 4)
    pair = torch.tensor([1.0, -1, 0, 0, 0, 0, 0, 0])
    assert dirichlet_energy(kernels.linear(T), half) == pytest.approx(0.08)
    assert dirichlet_energy(kernels.linear(T), pair) == pytest.approx(0.12375)
    with pytest.raises(InputError, match="variance"):
        dirichlet_energy(kernels.linear(T), torch.ones(8))


@pytest.mark.parametrize("kernel", ["bhattacharyya", "hellinger", "linear", "chi", "jensen_shannon"])
def test_blocks_change_nothing_and_kernels_are_psd(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p = torch.randn(9, 40, generator=torch.Generator().manual_seed(0)).softmax(1)
    whole = getattr(kernels, kernel)(p)
    monkeypatch.setattr(laws, "_NUMBERS", 60)
    monkeypatch.setattr(kernels, "_PAIRS", 100)
    torch.testing.assert_close(getattr(kernels, kernel)(p), whole, rtol=1e-5, atol=1e-6)
    assert float(torch.linalg.eigvalsh(whole).min()) > -1e-5
    if kernel in ("bhattacharyya", "hellinger", "jensen_shannon"):
        assert whole.diagonal().tolist() == pytest.approx([1] * 9, abs=1e-5)


def test_two_laws_by_hand() -> None:
    p, q = torch.tensor([0.5, 0.5, 0]), torch.tensor([0, 0.5, 0.5])
    both = torch.stack([p, q])
    assert float(kernels.bhattacharyya(both)[0, 1]) == pytest.approx(0.5)
    assert float(kernels.hellinger(both)[0, 1]) == pytest.approx(math.exp(-1))
    # The mixture (1/4, 1/2, 1/4) has 1.5 ln 2, each law ln 2.
    assert float(kernels.jensen_shannon(both)[0, 1]) == pytest.approx(math.exp(-math.log(2) / 2))
    assert float(kernels.chi(both)[0, 1]) == pytest.approx(0.25 / 0.5 - 1)
    head = torch.tensor([[1.0, 0], [0, 2], [4, 0]])
    assert float(kernels.prototype(both, head)[0, 1]) == pytest.approx(0.5 * 2 + 1 * 1)


def test_weighted_contexts_are_repeated_contexts() -> None:
    """A context of twice the weight is the same as the context twice."""
    p = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)).double().softmax(1)
    repeated = p[[0, 0, 1, 2]]
    weights = torch.tensor([0.5, 0.25, 0.25])
    few, many = spectrum(kernels.chi(p, weights), weights), spectrum(kernels.chi(repeated))
    torch.testing.assert_close(few, many[:3], atol=1e-6, rtol=1e-6)


def test_bounds_between_divergences() -> None:
    """1 - BC and TV^2 are each at most half the KL divergence."""
    p, q = (torch.randn(500, 4, generator=torch.Generator().manual_seed(s)).double().softmax(1) for s in (0, 1))
    kl = (p * (p / q).log()).sum(1)
    assert ((1 - (p * q).sqrt().sum(1)) <= kl / 2).all()
    assert (((p - q).abs().sum(1) / 2).square() <= kl / 2).all()


def test_bad_kernels_and_weights() -> None:
    with pytest.raises(InputError, match="kernel"):
        operator(torch.zeros(2, 3))
    with pytest.raises(InputError, match="weights"):
        operator(torch.eye(2), torch.tensor([1.0, 1.0]))

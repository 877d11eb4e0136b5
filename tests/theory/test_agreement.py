"""Agreement of states with a kernel: 1 where they span its eigenspace, and the null elsewhere."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.theory import Reference, kernels, processes
from nearfar.theory.agreement import gap_near

T = processes.hierarchical_chain()
HAAR = torch.linalg.eigh(T).eigenvectors.flip(1)


def test_eigenvectors_agree_and_others_do_not() -> None:
    reference = Reference(kernels.linear(T), 3)
    best = reference.agreement(HAAR[:, 1:4])
    assert best.alignment == pytest.approx(1)
    assert best.captured == pytest.approx(1)
    worst = reference.agreement(HAAR[:, 4:7])
    assert worst.alignment == pytest.approx(0, abs=1e-9)
    assert worst.captured == pytest.approx(3 * 0.00125 / (0.045 + 2 * 0.01125))
    # CKA weighs the spectrum: it is 1 only where the states have that of the kernel.
    assert best.cka < 0.95
    scaled = HAAR[:, 1:] * reference.values[:7].clamp(min=0).sqrt()
    assert reference.agreement(scaled).cka == pytest.approx(1)


def test_rotation_and_scale_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    for width in (5, 12):  # fewer and more dimensions than contexts
        x = torch.randn(8, width, generator=generator).double()
        turn = torch.linalg.qr(torch.randn(width, width, generator=generator).double()).Q
        reference = Reference(kernels.bhattacharyya(T), 2)
        assert tuple(reference.agreement(7 * x @ turn)) == pytest.approx(tuple(reference.agreement(x)))


def test_the_null_is_about_random_and_the_same_with_unequal_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    laws = torch.randn(60, 10, generator=generator).double().softmax(1)
    states = torch.randn(60, 6, generator=generator)
    equal = Reference(kernels.linear(laws), 4)
    null = equal.null(states, permutations=50)
    assert len(null) == 50
    assert sum(each.alignment for each in null) / 50 == pytest.approx(4 / 59, abs=0.03)
    almost = torch.full((60,), 1 / 60).double()
    almost[0] += 1e-9
    slow = Reference(kernels.linear(laws), 4, almost).null(states, permutations=3)
    for fast, other in zip(null, slow, strict=False):
        assert tuple(fast) == pytest.approx(tuple(other), abs=1e-5)


def test_more_directions_than_the_states_have() -> None:
    """States in two directions can align with two of three."""
    found = Reference(kernels.linear(T), 3).agreement(HAAR[:, [1, 2]])
    assert found.alignment == pytest.approx(2 / 3)


def test_where_the_spectrum_falls() -> None:
    values = torch.tensor([1, 0.9, 0.8, 0.1, 0.09, 0.08, 0.07])
    assert gap_near(values, 2) == 3
    assert gap_near(values, 6) == 3


@pytest.mark.parametrize("r", [0, 8])
def test_r_out_of_range(r: int) -> None:
    with pytest.raises(InputError, match="r: "):
        Reference(kernels.linear(T), r)


def test_another_number_of_states() -> None:
    with pytest.raises(InputError, match="states"):
        Reference(kernels.linear(T), 2).agreement(torch.zeros(7, 3))


@pytest.mark.parametrize(("d", "alignment", "captured"), [(1, 0.999, 0.999), (3, 0.94, 0.97)])
def test_nll_aligns_states_with_the_true_law(d: int, alignment: float, captured: float) -> None:
    """A table of states and a head, trained on the exact NLL of the chain; the kernel does not depend on the model."""
    torch.manual_seed(0)
    h, a = ((scale * torch.randn(8, d, dtype=torch.float64)).requires_grad_() for scale in (1.0, 0.1))
    b = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([h, a, b], lr=0.02)
    reference = Reference(kernels.linear(T), d)
    before = reference.agreement(h.detach())
    for _ in range(400):
        loss = -(T * (h @ a.T + b).log_softmax(1)).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = reference.agreement(h.detach())
    assert found.alignment > max(alignment, before.alignment + 0.3)
    assert found.captured > captured
    shuffled = reference.null(h.detach(), permutations=200)
    assert sum(each.alignment for each in shuffled) / 200 == pytest.approx(d / 7, abs=0.1)

"""The spectral contrastive loss: its minimum, and its relation to the NLL."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nearfar import contrast, far, near
from nearfar.losses.spectral import SpectralLoss, spectral_contrastive_loss, spectral_loss
from nearfar.theory import Reference, kernels, processes

T = processes.hierarchical_chain()
MU = torch.full((8,), 1 / 8).double()


def correlations(joint: torch.Tensor) -> torch.Tensor:
    """B, contexts x tokens; its singular values are the canonical correlations."""
    mu, pi = joint.sum(1), joint.sum(0)
    return (joint - mu.outer(pi)) / (mu.outer(pi)).sqrt()


@pytest.mark.parametrize(("d", "expected"), [(1, -0.18), (3, -0.27), (7, -0.29)])
def test_minimum_on_the_chain(d: int, expected: float) -> None:
    u, rho, v = torch.linalg.svd(correlations(T / 8))
    h = u[:, :d] * rho[:d].sqrt() * math.sqrt(8)
    a = v[:d].T * rho[:d].sqrt() * math.sqrt(8)
    h.requires_grad_()
    loss = spectral_contrastive_loss(h, a, T / 8, MU, MU)
    assert float(loss.detach()) / 2 == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(loss, h)
    assert float(gradient.abs().max()) < 1e-9


def test_nuclear_norm_of_the_centred_prototypes_of_the_chain() -> None:
    """The best E<g_x, h_x> of whitened states, with one-hot prototypes."""
    centred = math.sqrt(1 / 8) * (T - T.mean(0))
    assert float(torch.linalg.matrix_norm(centred, "nuc")) == pytest.approx(0.565685, abs=1e-6)


def test_it_is_the_distance_from_the_correlations() -> None:
    generator = torch.Generator().manual_seed(0)
    joint = torch.rand(6, 9, generator=generator).double()
    joint /= joint.sum()
    mu, pi = joint.sum(1), joint.sum(0)
    h, a = torch.randn(6, 3, generator=generator).double(), torch.randn(9, 3, generator=generator).double()
    z = h @ (a - pi @ a).T
    b = correlations(joint)
    found = float(spectral_contrastive_loss(h, a, joint, mu, pi)) / 2
    weighted = mu.sqrt()[:, None] * z * pi.sqrt()
    assert found == pytest.approx(float((b - weighted).square().sum() - b.square().sum()) / 2, abs=1e-12)
    # The estimate over all outcomes, each as often as it is likely, is the same number.
    pairs = torch.cartesian_prod(torch.arange(6), torch.arange(9))
    each = torch.stack([spectral_loss((h @ a.T + pi.log())[x : x + 1], w[None], pi.log()) for x, w in pairs])
    z_joint = float((joint.flatten() * (-2 * z.flatten())).sum())
    estimate = float((joint.flatten() * each.double()).sum())
    assert estimate == pytest.approx(z_joint + float((mu[:, None] * z.square() * pi).sum()), rel=1e-5)
    assert estimate / 2 == pytest.approx(found, rel=1e-5)


def test_it_is_half_the_nll_to_second_order() -> None:
    generator = torch.Generator().manual_seed(0)
    pi = torch.rand(7, generator=generator).double()
    pi /= pi.sum()
    z = torch.randn(400, 7, generator=generator).double()
    targets = torch.randint(7, (400,), generator=generator)
    # log pi of the targets stands for the cross-entropy without any context.
    alone = -float(pi.log()[targets].mean())
    errors = []
    for size in (0.1, 0.05):
        logits = pi.log() + size * z
        gain = float(F.cross_entropy(logits, targets)) - alone
        errors.append(abs(gain - float(spectral_loss(logits, targets, pi.log().float())) / 2))
    assert errors[1] == pytest.approx(errors[0] / 8, rel=0.5, abs=2e-6)


def lowest_nll(transitions: torch.Tensor, d: int) -> tuple[float, torch.Tensor]:
    """The lowest NLL of a softmax model of rank d, of two starts, and its logits."""
    n, v = transitions.shape
    found = []
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        h = (0.1 * torch.randn(n, d, generator=generator)).double().requires_grad_()
        a = (0.1 * torch.randn(v, d, generator=generator)).double().requires_grad_()
        b = transitions.mean(0).log().clone().requires_grad_()
        optimiser = torch.optim.LBFGS([h, a, b], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

        def closure(h=h, a=a, b=b, optimiser=optimiser):
            optimiser.zero_grad()
            loss = -(transitions * (h @ a.T + b).log_softmax(1)).sum(1).mean()
            loss.backward()
            return loss

        for _ in range(10):
            optimiser.step(closure)
        found.append((float(closure().detach()), h.detach()))
    return min(found, key=lambda each: each[0])


def test_nll_meets_the_spectral_prediction_as_dependence_vanishes() -> None:
    """Theorem: (H(W) - NLL) / (sum rho^2 / 2) goes to 1, and the states to the leading singular vectors."""
    strong = torch.distributions.Dirichlet(torch.ones(6).double())
    torch.manual_seed(0)
    strong = strong.sample((6,))
    ratios, alignments = [], []
    for dependence in (0.5, 0.2, 0.05):
        transitions = processes.weakened(strong, dependence)
        pi = transitions.mean(0)
        rho = torch.linalg.svdvals(correlations(transitions / 6))
        entropy = float(torch.special.entr(pi).sum())
        nll, h = lowest_nll(transitions, 1)
        ratios.append((entropy - nll) / (0.5 * float(rho[0] ** 2)))
        alignments.append(Reference(kernels.chi(transitions), 1).agreement(h).alignment)
    assert abs(ratios[2] - 1) <= 0.03
    assert abs(ratios[2] - 1) < abs(ratios[1] - 1) < abs(ratios[0] - 1)
    assert alignments[2] >= 0.999


class Logits(torch.nn.Module):
    """A language model whose logits are given."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> Logits:
        return self


def test_the_loss_of_a_language_model_shifts_the_tokens() -> None:
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[0, 3, 2, 2, 6], [1, 1, 5, 0, 4]])
    log_pi = torch.full((7,), 1 / 7).log()
    model = Logits(logits)
    spectral = float(SpectralLoss(log_pi)(model, {"input_ids": tokens}))
    inputs, targets = logits[:, :-1].reshape(-1, 7), tokens[:, 1:].flatten()
    assert spectral == pytest.approx(float(spectral_loss(inputs, targets, log_pi)) / 2)
    both = float(SpectralLoss(log_pi, next_token=2.0)(model, {"input_ids": tokens}))
    assert both == pytest.approx(spectral + 2 * float(F.cross_entropy(inputs, targets)))


def test_nll_is_the_kernel_of_contexts_and_tokens() -> None:
    """Anchors are states, candidates the head's rows, and a bias is the weight of a token in the denominator."""
    generator = torch.Generator().manual_seed(0)
    h, head, b = (torch.randn(*shape, generator=generator) for shape in ((5, 4), (9, 4), (9,)))
    targets = torch.tensor([3, 0, 8, 8, 1])
    one_hot = near.weights(F.one_hot(targets, 9).float())
    found = contrast(h, head, one_hot, far.weighted(b.exp().expand(5, -1)), temperature=1.0, similarity="dot")
    expected = F.cross_entropy(h @ head.T + b, targets)
    assert float(found - b[targets].mean()) == pytest.approx(float(expected), abs=1e-5)

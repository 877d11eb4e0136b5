"""The loss against frozen vectors, with worked numbers."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar import contrast, near
from nearfar.losses import ReferenceLoss

TAU = 0.07
LABELS = torch.tensor([0, 0, 1, 1, 1, 2])


def unit_vectors() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    p, q = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    return F.normalize(p, dim=1), F.normalize(q, dim=1)


def weighted(p: Tensor, q: Tensor, w: Tensor, tau: float = TAU) -> float:
    """The weighted direction by the paper's own formula, in loops."""
    total = 0.0
    for i in range(len(p)):
        scores = [float(p[i] @ q[j]) / tau for j in range(len(q))]
        logz = math.log(sum(math.exp(score) for score in scores))
        total -= sum(float(w[i, j]) * (scores[j] - logz) for j in range(len(q))) / float(w[i].sum())
    return total / len(p)


def loss_of(p: Tensor, q: Tensor, **options) -> ReferenceLoss:
    return ReferenceLoss(SentenceTransformer(modules=[torch.nn.Identity()]), p, **options)


def test_identity_weights_are_the_two_directions_of_clip():
    p, q = unit_vectors()
    one = contrast(p, q, near.paired(), temperature=TAU)
    assert one.item() == pytest.approx(9.923401715672762, abs=1e-12)
    scores = p @ q.T / TAU
    rows = torch.arange(6)
    both = F.cross_entropy(scores, rows) + F.cross_entropy(scores.T, rows)
    plain = loss_of(p, q, weigh=None, temperature=TAU, learn_temperature=False)
    assert plain.loss_of_rows(q, rows).item() == pytest.approx(both.item(), abs=1e-12)


def test_binary_weights_are_supcon_across_modalities():
    p, q = unit_vectors()
    w = (LABELS[:, None] == LABELS).double()
    assert weighted(p, q, w) == pytest.approx(6.975739797910045, abs=1e-12)
    for same in (near.same_label(LABELS, LABELS), near.weights(w / w.sum(1, keepdim=True))):
        assert contrast(p, q, same, temperature=TAU).item() == pytest.approx(6.975739797910045, abs=1e-12)


@pytest.mark.parametrize("weigh", ["half", "relu", near.power(4)])
def test_the_loss_is_the_papers_formula(weigh):
    p, q = unit_vectors()
    cosines = p @ p.T
    maps = {"half": (1 + cosines) / 2, "relu": cosines.clamp(min=0)}
    w = maps[weigh] if isinstance(weigh, str) else cosines.clamp(min=0) ** 4
    plain = F.cross_entropy(q @ p.T / TAU, torch.arange(6)).item()
    loss = loss_of(p, q, weigh=weigh, temperature=TAU, learn_temperature=False)
    assert loss.loss_of_rows(q, torch.arange(6)).item() == pytest.approx(weighted(p, q, w) + plain, rel=1e-12)


def test_scaled_weights_change_nothing():
    p, q = unit_vectors()
    thrice = near.by_similarity(p, p, lambda cosine: 3 * (1 + cosine) / 2)
    plain, scaled = (contrast(p, q, each, temperature=TAU) for each in (near.by_similarity(p, p), thrice))
    assert scaled.item() == pytest.approx(plain.item(), abs=1e-12)


def test_gradient_is_softmax_minus_target():
    p, q = unit_vectors()
    scores = (p @ q.T).requires_grad_()
    w = (1 + p @ p.T) / 2
    target = w / w.sum(1, keepdim=True)
    # Similarities themselves as dot products of rows with the unit basis.
    loss = contrast(scores, torch.eye(6).double(), near.by_similarity(p, p), temperature=TAU, similarity="dot")
    loss.backward()
    assert scores.grad is not None
    expected = ((scores / TAU).softmax(1) - target) / (6 * TAU)
    torch.testing.assert_close(scores.grad, expected, atol=1e-14, rtol=0)
    torch.testing.assert_close(scores.grad.sum(1), torch.zeros(6).double(), atol=1e-13, rtol=0)


def test_the_weighted_direction_is_bounded_by_the_entropy_of_its_targets():
    q, p = unit_vectors()
    w = (1 + p @ p.T) / 2
    target = w / w.sum(1, keepdim=True)
    entropy = -(target * target.log()).sum(1).mean().item()
    assert entropy == pytest.approx(1.657758968933084, abs=1e-12)
    assert contrast(p, q, near.by_similarity(p, p), temperature=TAU).item() > entropy
    best = TAU * target.log()
    attained = contrast(best, torch.eye(6).double(), near.by_similarity(p, p), temperature=TAU, similarity="dot")
    assert attained.item() == pytest.approx(entropy, abs=1e-12)


def test_equal_similarities_cost_log_n():
    p, _ = unit_vectors()
    same = torch.ones(6, 5, dtype=torch.float64)
    assert contrast(p, same, near.by_similarity(p, p), temperature=TAU).item() == pytest.approx(1.791759469, abs=1e-9)


def test_no_gradient_reaches_the_frozen_side():
    p, q = (x.requires_grad_() for x in unit_vectors())
    loss_of(p, q, temperature=TAU).loss_of_rows(q, torch.arange(6)).backward()
    assert p.grad is None
    assert q.grad is not None
    w = p @ p.T
    contrast(p.detach(), q, near.by_similarity(w, w), temperature=TAU).backward()
    assert p.grad is None


def test_worked_example():
    p, q = torch.tensor([[0.8, 0.6], [0.6, 0.8]], dtype=torch.float64), torch.eye(2).double()
    one = contrast(p, q, near.by_similarity(p, p), temperature=0.5)
    assert one.item() == pytest.approx(0.7109950504, abs=1e-10)
    both = loss_of(p, q, temperature=0.5, learn_temperature=False).loss_of_rows(q, torch.arange(2))
    assert both.item() == pytest.approx(1.2240103028, abs=1e-10)


def test_the_opposite_direction_is_normalised_anew():
    p, q = unit_vectors()
    w = (1 + p @ p.T) / 2
    target = w / w.sum(1, keepdim=True)
    assert not torch.allclose(target.T.sum(1), torch.ones(6).double())
    both = contrast(p, q, near.by_similarity(p, p), temperature=TAU, symmetric=True)
    expected = (weighted(p, q, w) + weighted(q, p, w)) / 2  # W is symmetric
    assert both.item() == pytest.approx(expected, abs=1e-12)


def test_half_is_nearly_flat_on_unrelated_items():
    p = torch.eye(256).double()
    pull = near.by_similarity(p, p).bind(256, 256, p).at(slice(0, 256)).to_dense()
    torch.testing.assert_close(pull.diagonal(), torch.full((256,), 1 / (1 + 255 / 2)).double())
    sharp = near.by_similarity(p, p, near.power(4)).bind(256, 256, p).at(slice(0, 256)).to_dense()
    torch.testing.assert_close(sharp, p)


def test_temperatures_learn_apart_and_stay_up():
    p, q = unit_vectors()
    loss = loss_of(p.float(), q, weighted_temperature=0.5)
    assert {name for name, _ in loss.named_parameters()} == {"log_temperature", "log_weighted"}
    loss.loss_of_rows(q.float(), torch.arange(6)).backward()
    assert all(weight.grad is not None and weight.grad != 0 for weight in loss.parameters())
    with torch.no_grad():
        for weight in loss.parameters():
            weight.fill_(-100)
    assert math.isfinite(loss.loss_of_rows(q.float(), torch.arange(6)).item())
    assert float(torch.as_tensor(loss.temperature).detach()) == pytest.approx(0.01)
    assert {name for name, _ in loss_of(p, q).named_parameters()} == {"log_temperature"}

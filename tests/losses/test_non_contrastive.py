"""Terms without negatives: worked numbers, where gradients go, and the running average."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
import views_worker
from torch import Tensor

from nearfar.losses.non_contrastive import (
    Averaged,
    Decorrelation,
    Prediction,
    SwappedAssignments,
    cross_correlation_loss,
    prediction_loss,
    sinkhorn,
    swapped_loss,
    term_of,
)


def vectors(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def white(rows: int, dims: int) -> Tensor:
    """Columns with mean 0, variance 1 and no correlation."""
    x = vectors(rows, dims)
    x, _ = torch.linalg.qr(x - x.mean(0))
    return x * math.sqrt(rows)


def test_prediction_is_zero_for_equal_and_four_for_opposite_vectors() -> None:
    v = vectors(6, 4).requires_grad_()
    p = (3 * v).detach().requires_grad_()
    assert float(prediction_loss(p, v).detach()) == pytest.approx(0, abs=1e-6)
    assert float(prediction_loss(-p, v).detach()) == pytest.approx(4, abs=1e-6)
    (prediction_loss(p + 1, v)).backward()
    assert v.grad is None
    assert p.grad is not None


def test_cross_correlation_of_known_vectors() -> None:
    v = white(12, 4)
    assert 0.025 * float(cross_correlation_loss(v, v)) == pytest.approx(0, abs=1e-9)
    assert 0.025 * float(cross_correlation_loss(v, -v)) == pytest.approx(0.4, rel=1e-5)
    one = v[:, :1].expand(-1, 4)
    assert 0.025 * float(cross_correlation_loss(one, one)) == pytest.approx(0.0015, rel=1e-5)
    assert 0.025 * float(cross_correlation_loss(v[:, :2], v[:, 2:])) == pytest.approx(0.05, rel=1e-5)


def test_rows_of_assignments_sum_to_one_and_columns_do_with_many_iterations() -> None:
    similarities = F.normalize(vectors(7, 4), dim=1) @ F.normalize(vectors(5, 4, seed=1), dim=1).T
    few, many = sinkhorn(similarities), sinkhorn(similarities, iterations=200)
    for found in (few, many):
        torch.testing.assert_close(found.sum(1), torch.ones(7))
    assert (few.sum(0) - 7 / 5).abs().max() > 1e-3
    torch.testing.assert_close(many.sum(0), torch.full((5,), 7 / 5), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sinkhorn(torch.full((3, 4), 0.3)), torch.full((3, 4), 0.25))


def test_assignments_of_the_two_by_two_example() -> None:
    similarities = torch.tensor([[0.5, 0.4], [0.3, 0.3]])
    expected = torch.tensor([[0.7235, 0.2765], [0.2615, 0.7385]])
    torch.testing.assert_close(sinkhorn(similarities), expected, atol=5e-5, rtol=0)
    limit = 1 / (1 + math.exp(-(0.5 + 0.3 - 0.4 - 0.3) / (2 * 0.05)))
    assert limit == pytest.approx(0.731059, abs=5e-7)
    torch.testing.assert_close(sinkhorn(similarities, iterations=200).diagonal(), torch.tensor([limit, limit]))
    # Similarities far outside the range of an exponential.
    assert sinkhorn(1000 * similarities).isfinite().all()


def test_targets_are_those_of_the_next_views_on_both_sides() -> None:
    h = F.normalize(vectors(2, 2, 5, 3), dim=-1)
    found = swapped_loss((list(h[0]), list(h[1])), 0.1)
    wanted = []
    for k in range(2):
        for m in range(2):
            logits = h[0, k] @ h[1, m].T / 0.1
            q = sinkhorn(h[0, 1 - k] @ h[1, 1 - m].T).double()
            r = sinkhorn((h[0, 1 - k] @ h[1, 1 - m].T).T).double()
            wanted += [-(q * logits.log_softmax(1)).sum(1).mean(), -(r * logits.T.log_softmax(1)).sum(1).mean()]
    assert float(found) == pytest.approx(float(torch.stack(wanted).mean()), rel=1e-6)


def test_three_views_take_the_next_one_cyclically() -> None:
    h = vectors(2, 3, 5, 3)
    turned = swapped_loss(([h[0, 1], h[0, 2], h[0, 0]], [h[1, 1], h[1, 2], h[1, 0]]), 0.1)
    found = swapped_loss((list(h[0]), list(h[1])), 0.1)
    assert float(found) == pytest.approx(float(turned), rel=1e-6)
    swapped = swapped_loss(([h[0, 1], h[0, 0], h[0, 2]], list(h[1])), 0.1)
    assert float(found) != pytest.approx(float(swapped), rel=1e-6)


@pytest.mark.parametrize(("momentum", "same"), [(1.0, True), (0.0, False)])
def test_the_average_stays_or_becomes_the_model(momentum: float, same: bool) -> None:
    model = views_worker.two_layers()
    projectors = torch.nn.ModuleList([torch.nn.Linear(4, 2)])
    averaged = Averaged(model, momentum=momentum)
    averaged.add(projectors)
    before = [weight.clone() for weight in averaged.parameters()]
    with torch.no_grad():
        for weight in (*model.parameters(), *projectors.parameters()):
            weight += 1
    averaged.follow(projectors)
    wanted = before if same else [weight for part in (model, projectors) for weight in part.parameters()]
    for found, expected in zip(averaged.parameters(), wanted, strict=True):
        assert found.equal(expected)
        assert not found.requires_grad


def test_statistics_of_batch_norms_are_the_average_own() -> None:
    loss = views_worker.loss_of("byol")
    term = loss.term
    assert isinstance(term, Prediction)
    assert term.averaged is not None
    for module in term.averaged.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            assert module.training
    seen = term.averaged.projectors[0][1].running_mean.clone()
    views_worker_loss(loss)
    assert not term.averaged.projectors[0][1].running_mean.equal(seen)


def views_worker_loss(loss: torch.nn.Module) -> Tensor:
    columns = [
        {"sentence_embedding": vectors(6, views_worker.WIDTH, seed=k), "task": "image" if k < 3 else "text"}
        for k in range(6)
    ]
    return loss(columns)


def test_terms_by_name() -> None:
    model = views_worker.two_layers()
    kinds = {"none": type(None), "siam": Prediction, "byol": Prediction, "barlow": Decorrelation}
    for name, kind in {**kinds, "swav": SwappedAssignments}.items():
        assert isinstance(term_of(name, model, model[1]), kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("extra", ["siam", "byol", "barlow", "swav"])
def test_a_term_trains_both_towers(extra: str) -> None:
    with_term, without = views_worker.loss_of(extra), views_worker.loss_of("none")
    without.smoothing = with_term.smoothing
    for loss in (with_term, without):
        views_worker_loss(loss).backward()
    slopes = [
        {name: weight.grad for name, weight in loss.named_parameters() if "sub_modules" in name and "model." in name}
        for loss in (with_term, without)
    ]
    for name, slope in slopes[1].items():
        assert slope is not None
        assert not torch.allclose(slopes[0][name], slope), name

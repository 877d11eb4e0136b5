from __future__ import annotations

import math

import pytest
import torch

from nearfar.losses.distillation import DistilledPairs, label_loss, logit_mse, softened
from nearfar.models.pairs.head import PairHead, PairHeadConfig
from nearfar.models.pairs.teacher import reduced


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def head(kind: str = "regression", outputs: int = 1, **options) -> PairHead:
    torch.manual_seed(0)
    return PairHead(PairHeadConfig(6, kind, outputs, hidden=5, **options))


def loss_of(head: PairHead, alpha: float, **options) -> DistilledPairs:
    return DistilledPairs(torch.nn.Identity(), head, alpha, **options)


def test_binary_worked_numbers() -> None:
    o, z, y = column(0.2, 1.5), column(1.0, -1.0), torch.tensor([1.0, 0.0])
    assert label_loss(o, y, "binary").item() == pytest.approx(1.149776, abs=1e-6)
    assert logit_mse(o, z).item() == pytest.approx(3.445)
    terms = loss_of(head("binary"), 0.5).terms(o, torch.cat([y[:, None], z], 1))
    assert sum(terms.values()).item() == pytest.approx(2.297388, abs=1e-6)


def test_three_classes_worked_numbers() -> None:
    o, z, y = torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[2.0, 0.5, -0.5]]), torch.tensor([0.0])
    assert label_loss(o, y, "classes").item() == pytest.approx(0.407606, abs=1e-6)
    assert logit_mse(o, z).item() == pytest.approx(1.5)  # summed over the classes: their mean would be 0.5
    terms = loss_of(head("classes", 3), 0.5).terms(o, torch.cat([y[:, None], z], 1))
    assert sum(terms.values()).item() == pytest.approx(0.953803, abs=1e-6)


def test_regression_is_the_mean_squared_error_of_pairs_with_their_own_scores() -> None:
    assert label_loss(column(1.0, 4.0), torch.tensor([2.0, 5.5]), "regression").item() == pytest.approx(1.625)


def test_binary_targets_may_lie_between_no_and_yes() -> None:
    expected = torch.nn.functional.binary_cross_entropy_with_logits(column(0.3, -2.0), column(0.7, 0.1))
    assert label_loss(column(0.3, -2.0), torch.tensor([0.7, 0.1]), "binary").item() == pytest.approx(expected.item())


def test_two_classes_of_a_teacher_are_the_logit_of_yes() -> None:
    two = torch.tensor([[0.3, 1.8], [2.0, -1.0]])
    one = reduced(two, "binary")
    assert one.shape == (2, 1)
    assert one.sigmoid().squeeze(1).tolist() == pytest.approx([0.8176, 0.0474], abs=5e-5)
    assert one.sigmoid().squeeze(1).tolist() == pytest.approx(two.softmax(1)[:, 1].tolist())
    assert torch.equal(reduced(two, "classes"), two)


def test_without_a_teacher_it_is_the_plain_siamese_classifier_bit_for_bit() -> None:
    u, v, y = torch.randn(4, 6), torch.randn(4, 6), torch.tensor([0.0, 2.0, 1.0, 2.0])
    gradients = []
    for columns in (y[:, None], torch.cat([y[:, None], torch.randn(4, 3)], 1)):
        student = head("classes", 3)
        sum(loss_of(student, 0.0).terms(student(u, v), columns).values()).backward()
        gradients.append([p.grad for p in student.parameters()])
    plain = head("classes", 3)
    label_loss(plain(u, v), y, "classes").backward()
    gradients.append([p.grad for p in plain.parameters()])
    for one, other, third in zip(*gradients, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)


def test_a_student_that_agrees_has_no_gradient_whatever_the_labels() -> None:
    u, v = torch.randn(4, 6), torch.randn(4, 6)
    student = head("classes", 3)
    logits = student(u, v)
    labels = torch.cat([torch.tensor([[0.0], [1.0], [2.0], [0.0]]), logits.detach()], 1)
    sum(loss_of(student, 1.0).terms(logits, labels).values()).backward()
    assert all(not bool(p.grad.any()) for p in student.parameters())
    moved = student(u, v)
    sum(loss_of(student, 1.0).terms(moved, labels + 0.1).values()).backward()
    assert any(bool(p.grad.any()) for p in student.parameters())


def test_softened_tends_to_the_squared_error_of_centred_logits() -> None:
    o, z = torch.tensor([[1.0, -2.0, 0.5]]).double(), torch.tensor([[3.0, 0.0, -1.5]]).double()
    difference = (o - o.mean(1, keepdim=True)) - (z - z.mean(1, keepdim=True))
    limit = difference.square().sum(1).mean() / (2 * 3)
    found = softened(o, z, 1000.0)
    assert abs(found - limit) / found < 1e-3
    assert softened(o.float(), z.float(), 1000.0).item() == pytest.approx(found.item(), rel=1e-6)

    one, other = column(1.7), column(-1.3349)
    assert softened(one, other, 1000.0).item() == pytest.approx((1.7 + 1.3349) ** 2 / 8, rel=1e-3)


def test_softened_is_the_divergence_of_the_two_softmaxes() -> None:
    o, z, t = torch.randn(5, 4), torch.randn(5, 4), 2.0
    expected = t**2 * torch.nn.functional.kl_div(
        (o / t).log_softmax(1), (z / t).log_softmax(1), log_target=True, reduction="batchmean"
    )
    assert softened(o, z, t).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_common_offset_of_the_teacher_counts_for_the_squared_error_alone() -> None:
    z = torch.tensor([[2.0, 0.5, -0.5]])
    assert logit_mse(z, z).item() == 0
    assert logit_mse(z, z + 1).item() == pytest.approx(3)
    assert softened(z, z + 1, 2.0).item() == pytest.approx(0, abs=1e-9)


def test_half_batches_with_half_losses_have_the_gradient_of_the_whole() -> None:
    u, v = torch.randn(8, 6), torch.randn(8, 6)
    labels = torch.cat([torch.randint(0, 3, (8, 1)).float(), torch.randn(8, 3)], 1)
    whole, halves = head("classes", 3), head("classes", 3)
    sum(loss_of(whole, 0.5).terms(whole(u, v), labels).values()).backward()
    for rows in (slice(0, 4), slice(4, 8)):
        (sum(loss_of(halves, 0.5).terms(halves(u[rows], v[rows]), labels[rows]).values()) / 2).backward()
    for one, other in zip(whole.parameters(), halves.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        logit_mse(torch.zeros(4, 1), torch.zeros(4, 2))
    with pytest.raises(ValueError, match="shape"):
        softened(torch.zeros(4, 1), torch.zeros(1, 4))


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="alpha"):
        loss_of(head(), 1.5)
    with pytest.raises(ValueError, match="softmax"):
        loss_of(head("regression"), 0.5, distance="softened")
    assert math.isfinite(sum(loss_of(head(), 0.5).terms(column(1.0), torch.tensor([[2.0, 3.0]])).values()).item())

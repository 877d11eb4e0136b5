"""NSPT, NTPT and MM: worked numbers, what repels what, batches without anchors, several processes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import continual_worker
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from joint_processes import joint
from nearfar import contrast, far, near
from nearfar.losses import ContinualLoss, ContinualWeights, new_items_contrast, rehearsal_contrast
from nearfar.models.label_vectors import LabelVectors

H = torch.tensor([[1, 0], [0, 1], [0.6, 0.8]], dtype=torch.float64)
TEACHER = torch.tensor([[0.8, 0.6], [0.28, 0.96], [0, -1]], dtype=torch.float64)
TEXTS = torch.tensor([[0.8, 0.6], [0, 1], [1, 0]], dtype=torch.float64)
THREE = torch.tensor([0, 1, 2])
SUM: dict[str, Any] = {"reduction": "sum"}


def yes(*flags: int) -> Tensor:
    return torch.tensor(flags, dtype=torch.bool)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("engine", ["dense", "streaming"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 1.5313), ({"self_in_denominator": False}, -0.2728), ({"negatives": "teacher"}, 0.8516)],
)
def test_worked_example_of_rehearsal(engine: Any, options: dict[str, Any], expected: float) -> None:
    found = rehearsal_contrast(H, TEACHER, THREE, yes(1, 1, 0), 0.5, engine=engine, **SUM, **options)
    assert float(found) == pytest.approx(expected, abs=5e-5)
    mean = rehearsal_contrast(H, TEACHER, THREE, yes(1, 1, 0), 0.5, engine=engine, **options)
    assert float(mean) == pytest.approx(float(found) / 2, abs=1e-12)


def test_orthonormal_vectors() -> None:
    four, every = torch.eye(4, dtype=torch.float64), yes(1, 1, 1, 1)
    found = rehearsal_contrast(four, four, torch.arange(4), every, 0.1, **SUM)
    assert float(found) == pytest.approx(4 * math.log(1 + 3 * math.exp(-10)), abs=1e-12)
    without = rehearsal_contrast(four, four, torch.arange(4), every, 0.1, self_in_denominator=False, **SUM)
    assert float(without) == pytest.approx(4 * (-10 + math.log(3)), abs=1e-9)


def test_with_the_student_as_teacher_it_is_supcon() -> None:
    h, labels = randn(6, 4), torch.tensor([0, 1, 0, 2, 1, 0])
    options: dict[str, Any] = {"own_teacher": False, "self_in_denominator": False}
    found = rehearsal_contrast(h, h, labels, torch.ones(6, dtype=torch.bool), 0.1, **SUM, **options)
    supcon = contrast(h, h, near.same_label(labels), far.except_self(), temperature=0.1, reduction="sum")
    torch.testing.assert_close(found, supcon)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("negatives", ["student", "teacher"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_without_rehearsed_items_it_is_zero_with_zero_gradients(own: bool, negatives: Any, reduction: Any) -> None:
    h = H.clone().requires_grad_()
    options: dict[str, Any] = {"own_teacher": own, "negatives": negatives, "reduction": reduction}
    found = rehearsal_contrast(h, TEACHER, torch.tensor([1, 1, 1]), yes(0, 0, 0), 0.5, **options)
    assert found.item() == 0
    assert torch.autograd.grad(found, h)[0].tolist() == torch.zeros(3, 2).tolist()


def test_anchors_without_a_positive_are_skipped() -> None:
    labels, rehearsal = torch.tensor([0, 0, 1, 0]), yes(1, 1, 1, 0)
    h, t = randn(4, 3), randn(4, 3, seed=1)
    of_all = rehearsal_contrast(h, t, labels, rehearsal, 0.3, own_teacher=False)
    total = rehearsal_contrast(h, t, labels, rehearsal, 0.3, own_teacher=False, **SUM)
    torch.testing.assert_close(of_all, total / 2)  # the third item is the only one of its label


def test_a_new_item_is_repelled_by_the_anchors_and_nothing_else() -> None:
    h = torch.nn.functional.normalize(randn(5, 3), dim=1).requires_grad_()
    t = randn(5, 3, seed=1).requires_grad_()
    labels, rehearsal, tau = torch.tensor([0, 0, 1, 2, 2]), yes(1, 1, 1, 0, 0), 0.2
    loss = rehearsal_contrast(h, t, labels, rehearsal, tau, self_in_denominator=False, **SUM)
    (gradient,) = torch.autograd.grad(loss, h)
    x = (h @ h.T / tau).detach().fill_diagonal_(-torch.inf).softmax(1)
    for new in (3, 4):
        repelled = (x[:3, new, None] * h[:3] / tau).sum(0).detach()
        along = h[new].detach()  # the gradient of a unit vector has no part along it
        torch.testing.assert_close(gradient[new], repelled - (repelled @ along) * along, atol=1e-12, rtol=0)
    assert torch.autograd.grad(rehearsal_contrast(h, t, labels, rehearsal, tau), t, allow_unused=True) == (None,)


def test_worked_examples_of_new_items() -> None:
    def total(labels: list[int], new: Tensor) -> float:
        return float(new_items_contrast(H, TEXTS, torch.tensor(labels), new, 0.5, **SUM))

    assert total([0, 1, 2], yes(1, 1, 1)) == pytest.approx(5.9312, abs=5e-5)
    assert total([0, 1, 2], yes(0, 0, 1)) == pytest.approx(2.7747, abs=5e-5)
    assert total([0, 1, 1], yes(1, 1, 1)) == pytest.approx(7.5312, abs=5e-5)


def test_new_items_of_different_labels_are_clip() -> None:
    a, t, every = randn(6, 4), randn(6, 4, seed=1), torch.ones(6, dtype=torch.bool)
    clip = contrast(a, t, temperature=0.1, symmetric=True)
    torch.testing.assert_close(new_items_contrast(a, t, torch.arange(6), every), clip)
    torch.testing.assert_close(new_items_contrast(a, t, torch.arange(6), every, **SUM), 12 * clip)


def test_without_new_items_it_is_zero() -> None:
    a = H.clone().requires_grad_()
    found = new_items_contrast(a, TEXTS, THREE, yes(0, 0, 0), 0.5)
    assert found.item() == 0
    assert not torch.autograd.grad(found, a)[0].any()


def head_of(*vectors: list[float]) -> LabelVectors:
    head = LabelVectors(2).double()
    head.add([f"label {place}" for place in range(len(vectors))], torch.tensor(vectors, dtype=torch.float64))
    return head


def test_classification_is_cross_entropy_of_cosines_plus_that_of_stored_vectors() -> None:
    head, classes = head_of([2, 0], [0, 3], [-1, 0]), torch.tensor([0, 1, 1])
    entropy = torch.nn.functional.cross_entropy
    loss = ContinualLoss(torch.nn.Identity(), head, class_temperature=0.5)  # type: ignore[arg-type]
    expected = entropy(head(H) / 0.5, classes)
    torch.testing.assert_close(loss.classification(H, classes), expected)
    stored = TEACHER, torch.tensor([2, 2, 0])
    loss = ContinualLoss(torch.nn.Identity(), head, class_temperature=0.5, stored=stored)  # type: ignore[arg-type]
    torch.testing.assert_close(loss.classification(H, classes), expected + entropy(head(TEACHER) / 0.5, stored[1]))


def test_weights_are_in_the_card() -> None:
    loss = ContinualLoss(torch.nn.Identity(), head_of([1, 0]), weights=ContinualWeights(nspt_weight=0.3))  # type: ignore[arg-type]
    assert loss.get_config_dict()["nspt_weight"] == 0.3


def test_two_processes_are_one(tmp_path: Path) -> None:
    joint(continual_worker.work, tmp_path)
    found = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2)]
    for name in found[0]:
        expected = continual_worker.outcome(slice(0, 5), 1, name)
        for each in found:
            torch.testing.assert_close(each[name], expected)

"""The contrast of annotation trees: the worked numbers, its limits, its gradients, and its heads."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar import contrast, far, near
from nearfar.data.trees import Tree, tree_of
from nearfar.losses.annotation_trees import TreeLoss
from nearfar.models import load
from trees import A, B, C

#: Two vectors of each of three texts.
Z = torch.tensor(
    [[[1, 0, 0], [0.9, 0.3, 0.1]], [[0.2, 1, 0], [0.1, 0.8, 0.4]], [[0, 0.3, 1], [0.4, 0.1, 0.9]]], dtype=torch.float64
)
EMPTY: Tree = frozenset()


@pytest.fixture
def model(tiny_model_folder) -> SentenceTransformer:
    return load(tiny_model_folder, device="cpu")


def loss_of(model: SentenceTransformer, trees: list[Tree], vectors: Tensor = Z, **options: Any) -> Tensor:
    """Without heads: in `views`, all ten have the same vectors."""
    loss = TreeLoss(model, trees, temperature=options.pop("temperature", 0.07), width=1, **options)
    loss.training_head = None
    columns = [vectors[:, view].repeat(1, loss.heads) for view in range(2)]
    return loss.loss_of_vectors(columns, torch.arange(len(trees)), None, loss.temperature)


@pytest.mark.parametrize(
    ("trees", "targets", "expected"),
    [
        ([A, B, C], "combined", 5.216661074444),
        ([EMPTY, EMPTY, EMPTY], "combined", 0.019358108265),
        ([EMPTY, EMPTY, EMPTY], "equal", 0.019358108265),
        ([EMPTY, EMPTY, EMPTY], "views", 0.019358108265),
        ([A, A, C], "equal", 3.895793733829),
        ([A, B, C], "equal", 0.019358108265),
        ([A, B, C], "views", 4.611672461900),
    ],
)
def test_worked_losses(model, trees: list[Tree], targets: Any, expected: float) -> None:
    assert float(loss_of(model, trees, targets=targets)) == pytest.approx(expected, abs=1e-11)


def test_worked_targets(model) -> None:
    p = TreeLoss(model, [A, B, C], "combined").near_of(torch.arange(3).repeat(2))
    first = p.bind(6, 6, Z).at(slice(0, 1)).to_dense()[0]
    assert first.tolist() == pytest.approx([0, 0.185185, 0.129630, 0.370370, 0.185185, 0.129630], abs=1e-6)


@pytest.mark.parametrize(("share", "expected"), [(0, 0.870713757057), (1, 1.130713757057), (2, 1.217380423724)])
def test_two_texts_of_half_and_full_overlap(share: int, expected: float) -> None:
    """s = 0, .5 and 1; the second is an overlap of one of two elements."""
    z = torch.tensor([[1, 0], [0, 1], [0.8, 0.6], [0.6, 0.8]], dtype=torch.float64)
    sets = torch.tensor({0: [[[0, -1]], [[1, -1]]], 1: [[[0, 1]], [[0, -1]]], 2: [[[0, 1]], [[0, 1]]]}[share])
    p = near.by_overlap(sets.repeat(2, 1, 1), items_a=torch.arange(2).repeat(2))
    assert float(contrast(z, z, p, far.except_self(), temperature=0.5)) == pytest.approx(expected, abs=1e-11)


def test_binary_similarities_are_supcon(model) -> None:
    """All vectors are anchors; the mean over positives is outside of the logarithm (Khosla et al. 2020, L_out)."""
    z = F.normalize(Z, dim=2).transpose(0, 1).reshape(6, 3)
    labels = torch.tensor([0, 0, 1, 0, 0, 1])
    logits = (z @ z.T / 0.07).fill_diagonal_(-torch.inf)
    each = -logits.log_softmax(1)
    positive = (labels[:, None] == labels) & ~torch.eye(6, dtype=torch.bool)
    supcon = torch.stack([each[row][positive[row]].mean() for row in range(6)]).mean()
    assert float(loss_of(model, [A, A, C], targets="equal")) == pytest.approx(float(supcon), abs=1e-12)


def test_small_similarities_tend_to_nt_xent() -> None:
    z = F.normalize(Z, dim=2).transpose(0, 1).reshape(6, 3)
    # J(a, b), J(a, c), J(b, c), scaled.
    m = torch.eye(3, dtype=torch.float64)
    for i, j, s in ((0, 1, 0.5), (0, 2, 0.35), (1, 2, 0.45)):
        m[i, j] = m[j, i] = 1e-6 * s
    w = m.repeat(2, 2).fill_diagonal_(0)
    loss = contrast(z, z, near.weights(w / w.sum(1, keepdim=True)), far.except_self(), temperature=0.07)
    assert float(loss) == pytest.approx(0.019372, abs=1e-6)


def test_gradient_is_softmax_minus_target_and_the_loss_at_least_the_entropy(model) -> None:
    z = F.normalize(Z, dim=2).transpose(0, 1).reshape(6, 3)
    builder = TreeLoss(model, [A, B, C], "combined").near_of(torch.arange(3).repeat(2))
    p = builder.bind(6, 6, Z).at(slice(0, 6)).to_dense()
    logits = (z @ z.T / 0.07).requires_grad_()
    outside = torch.zeros(6, 6, dtype=torch.float64).fill_diagonal_(-torch.inf)
    loss = -(p * (logits + outside).log_softmax(1).nan_to_num(neginf=0)).sum(1).mean()
    assert float(loss.detach()) == pytest.approx(5.216661074444, abs=1e-11)
    loss.backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, ((logits.detach() + outside).softmax(1) - p) / 6)
    entropy = -float((p * p.clamp(min=1e-300).log()).sum(1).mean())
    assert log(2) < entropy < float(loss.detach())


def test_a_text_that_is_drawn_twice_is_near_to_itself(model) -> None:
    loss = TreeLoss(model, [EMPTY, A, C], "combined")
    p = loss.near_of(torch.tensor([0, 0, 2]).repeat(2)).bind(6, 6, Z).at(slice(0, 1)).to_dense()[0]
    assert p.tolist() == pytest.approx([0, 1 / 3, 0, 1 / 3, 1 / 3, 0])


def test_each_view_has_a_head_and_trees_of_its_own(model) -> None:
    loss = TreeLoss(model, [tree_of(["x"], ["p"]), tree_of(["x"], ["q"])], "views", width=5)
    assert loss.training_head is not None
    assert [tuple(weight.shape) for weight in loss.training_head.parameters()] == [(50, 32), (50,)]
    rows = torch.arange(2).repeat(2)
    first, second = (loss.near_of(rows, view).bind(4, 4, Z).at(slice(0, 1)).to_dense()[0].tolist() for view in (0, 1))
    assert first == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert second == pytest.approx([0, 0, 1, 0])
    columns = [torch.randn(2, 32) for _ in range(2)]
    value = loss.loss_of_vectors(columns, torch.arange(2), None, 0.1)
    vectors = loss.training_head(torch.cat(columns)).chunk(10, 1)
    one_by_one = [
        contrast(x, x, loss.near_of(rows, v), far.except_self(), temperature=0.1) for v, x in enumerate(vectors)
    ]
    torch.testing.assert_close(value, torch.stack(one_by_one).mean())


def test_what_is_refused(model) -> None:
    with pytest.raises(ValueError, match="cached"):
        TreeLoss(model, [A], "combined", cached=True)
    with pytest.raises(ValueError, match="width"):
        TreeLoss(model, [A], "views")
    with pytest.raises(ValueError, match="label"):
        TreeLoss(model, [A], "combined").loss_of_vectors([torch.ones(1, 2)] * 2, None, None, 0.1)

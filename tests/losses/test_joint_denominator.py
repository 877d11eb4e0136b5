"""The joint denominator, against loops over its terms."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar.losses import JointDenominatorLoss


def by_loops(columns: list[Tensor], labels: Tensor, tau: float, queries: bool, documents: bool, margin: float | None):
    """The formula of the report, term by term; and how many terms were masked."""
    q, p, *negatives = (F.normalize(x, dim=1) for x in columns)
    n, masked, losses = len(q), 0, []
    texts = labels[:, 1:].tolist()
    for i in range(n):
        positive = q[i] @ p[i]
        terms = []  # (similarity, number of the other text)
        for k, negative in enumerate(negatives):
            terms.append((q[i] @ negative[i], texts[i][2 + k]))
        for j in range(n):
            if j == i:
                continue
            if queries:
                terms.append((q[i] @ q[j], texts[j][0]))
            for k, document in enumerate([p, *negatives]):
                terms.append((q[i] @ document[j], texts[j][1 + k]))
                if documents:
                    terms.append((p[i] @ document[j], texts[j][1 + k]))
        z = (positive / tau).exp()
        for similarity, text in terms:
            false = margin is not None and float(similarity.detach()) > float(positive.detach()) + margin
            if false or text in (texts[i][0], texts[i][1]):
                masked += 1
            else:
                z = z + (similarity / tau).exp()
        losses.append(z.log() - positive / tau)
    return torch.stack(losses).mean(), masked


def numbered(n: int, columns: int) -> Tensor:
    return torch.cat([torch.arange(n)[:, None], torch.arange(n * columns).view(columns, n).T], 1)


@pytest.mark.parametrize("queries", [False, True])
@pytest.mark.parametrize("documents", [False, True])
@pytest.mark.parametrize("margin", [None, 0.1])
@pytest.mark.parametrize("negatives", [0, 2])
def test_value_and_gradient_of_the_formula(tiny_model, queries, documents, margin, negatives: int) -> None:
    torch.manual_seed(3)
    columns = [torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in range(2 + negatives)]
    labels = numbered(6, 2 + negatives)
    labels[1, 2] = labels[0, 2]  # two rows with the same positive
    loss = JointDenominatorLoss(tiny_model, queries, documents, margin, temperature=0.3)
    found = loss.loss_of_vectors(columns, labels, None, 0.3)
    expected, masked = by_loops(columns, labels, 0.3, queries, documents, margin)
    assert masked >= (2 if margin is None else 5)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    for mine, other in zip(torch.autograd.grad(found, columns), torch.autograd.grad(expected, columns), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


def test_worked_numbers(tiny_model: SentenceTransformer) -> None:
    # Two rows in the plane, queries at 0 and 60 degrees, documents at 60 and 180.
    def at(*degrees: float) -> Tensor:
        turned = torch.tensor(degrees, dtype=torch.float64).deg2rad()
        return torch.stack([turned.cos(), turned.sin()], 1)

    q, d, labels = at(0, 60), at(60, 180), numbered(2, 2)
    e = math.exp
    # Row 0: s(q0, d0) = 1/2; d1: -1; q1: 1/2; s(d0, d1) = -1/2. Row 1: -1/2; d0: 1; q0: 1/2; s(d1, d0) = -1/2.
    first = math.log(e(0.5) + e(-1) + e(0.5) + e(-0.5)) - 0.5
    whole = JointDenominatorLoss(tiny_model, margin=None).loss_of_vectors([q, d], labels, None, 1.0)
    second = math.log(e(-0.5) + e(1) + e(0.5) + e(-0.5)) + 0.5
    assert float(whole) == pytest.approx((first + second) / 2)
    # d0 and q0 are more similar to q1 than its positive, by more than 0.1: of row 1, only the documents remain.
    masked = JointDenominatorLoss(tiny_model).loss_of_vectors([q, d], labels, None, 1.0)
    assert float(masked) == pytest.approx((first + math.log(2 * e(-0.5)) + 0.5) / 2)


@pytest.mark.parametrize("margin", [0.1, None])
def test_the_gradient_cache_changes_nothing(margin, tiny_model: SentenceTransformer) -> None:
    model = tiny_model.eval()
    texts = [["cat", "a blue sky", "fish"], ["the cat sits", "sky", "a fish in the sea"], ["dog", "grass", "money"]]

    def found(cached: bool) -> tuple[Tensor, Tensor]:
        model.zero_grad()
        loss = JointDenominatorLoss(model, margin=margin, cached=cached, temperature=0.5)
        value = loss([model.preprocess(column) for column in texts], numbered(3, 3))
        value.backward()
        return value.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    for plain, cached in zip(found(False), found(True), strict=True):
        torch.testing.assert_close(plain, cached, rtol=1e-4, atol=1e-5)


def test_it_requires_the_numbers_of_all_texts(tiny_model: SentenceTransformer) -> None:
    with pytest.raises(ValueError, match="label"):
        JointDenominatorLoss(tiny_model).loss_of_vectors([torch.ones(2, 3)] * 3, numbered(2, 2), None, 1.0)

"""Distillation of scored lists: sentence-transformers' losses, lists of unequal length, and the limit between both."""

from __future__ import annotations

import math

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss, MarginMSELoss
from sentence_transformers.util import pairwise_cos_sim, pairwise_dot_score
from torch import Tensor

from nearfar.losses.ranked_lists import RankedListLoss, listwise_kl, margin_mse

ABSENT = -math.inf


def vectors(k: int, n: int = 5, d: int = 7) -> list[Tensor]:
    torch.manual_seed(k)
    return [torch.randn(n, d, dtype=torch.float64, requires_grad=True) for _ in range(1 + k)]


def scores(k: int, n: int = 5) -> Tensor:
    return torch.randn(n, k, dtype=torch.float64, generator=torch.Generator().manual_seed(9)) * 3


def assert_same(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    for mine, other in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_kl_is_that_of_sentence_transformers(k: int, similarity, tiny_model: SentenceTransformer) -> None:
    columns, teacher, tau = vectors(k), scores(k), 0.7
    compared = {"dot": pairwise_dot_score, "cosine": pairwise_cos_sim}[similarity]
    theirs = DistillKLDivLoss(tiny_model, compared, student_temperature=tau, teacher_temperature=1.5)
    ours = listwise_kl(columns[0], columns[1:], teacher / 1.5, tau, similarity)
    assert_same(tau**2 * ours, theirs.compute_loss_from_embeddings(columns, teacher), columns)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_margins_are_those_of_sentence_transformers(k: int, similarity, tiny_model: SentenceTransformer) -> None:
    columns, teacher, tau = vectors(k), scores(k), 0.5
    compared = {"dot": pairwise_dot_score, "cosine": pairwise_cos_sim}[similarity]
    theirs = MarginMSELoss(tiny_model, lambda a, b: compared(a, b) / tau)
    ours = margin_mse(columns[0], columns[1:], teacher, tau, similarity)
    assert_same(ours, theirs.compute_loss_from_embeddings(columns, teacher), columns)


@pytest.mark.parametrize("distance", ["kl", "margin_mse"])
@pytest.mark.parametrize("cached", [False, True])
def test_the_loss_of_texts_and_its_gradients(distance, cached: bool, tiny_model: SentenceTransformer) -> None:
    model = tiny_model.eval()
    texts = [
        ["cat", "a blue sky", "fish"],
        ["the cat sits", "sky", "a fish in the sea"],
        ["dog", "grass", "loan money"],
    ]
    teacher = torch.tensor([[2.0, -1.0], [0.5, 0.1], [3.0, 1.0]])

    def found(loss: torch.nn.Module) -> tuple[Tensor, Tensor]:
        model.zero_grad()
        value = loss([model.preprocess(column) for column in texts], teacher)
        value.backward()
        return value.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    ours = found(RankedListLoss(model, distance, 1.0, similarity="dot", cached=cached))
    theirs = found({"kl": DistillKLDivLoss, "margin_mse": MarginMSELoss}[distance](model))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("distance", [listwise_kl, margin_mse])
def test_a_place_without_a_score_does_not_count(distance) -> None:
    query, *candidates = vectors(3)
    teacher = scores(3)
    teacher[:2, 2] = ABSENT
    found = distance(query, candidates, teacher, 0.3)
    short = distance(query[:2], [c[:2] for c in candidates[:2]], teacher[:2, :2], 0.3)
    long = distance(query[2:], [c[2:] for c in candidates], teacher[2:], 0.3)
    # The mean of margins is over margins: the two short lists have one each, the three long ones two.
    share = 2 / 5 if distance is listwise_kl else 2 / 8
    torch.testing.assert_close(found, share * short + (1 - share) * long, rtol=1e-9, atol=1e-12)
    (gradient,) = torch.autograd.grad(found, candidates[2])
    assert torch.equal(gradient[:2], torch.zeros_like(gradient[:2]))
    assert bool(gradient[2:].any())


def test_kl_of_worked_numbers() -> None:
    query, first, second = (torch.tensor([[x]], dtype=torch.float64) for x in (1.0, 1.0, 0.0))
    # The student: 3/4 and 1/4 of temperature 1 / ln 3; the teacher: one half each.
    found = listwise_kl(query, [first, second], torch.zeros(1, 2, dtype=torch.float64), 1 / math.log(3), "dot")
    assert found.item() == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))


def test_margin_mse_of_two_is_the_limit_of_the_kl() -> None:
    query, *candidates = vectors(2)
    teacher, large = scores(2), 1e3
    limit = 8 * large**2 * listwise_kl(query, candidates, teacher / large, large, "dot")
    torch.testing.assert_close(limit, margin_mse(query, candidates, teacher, 1.0, "dot"), rtol=1e-2, atol=1e-4)


def test_shapes_that_do_not_fit_are_refused(tiny_model: SentenceTransformer) -> None:
    query, *candidates = vectors(2)
    with pytest.raises(ValueError, match="score for each"):
        listwise_kl(query, candidates, scores(3))
    with pytest.raises(ValueError, match="two candidates"):
        margin_mse(query, candidates[:1], scores(1))
    with pytest.raises(ValueError, match="distance"):
        RankedListLoss(tiny_model, "mse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="teacher_temperature"):
        RankedListLoss(tiny_model, teacher_temperature=0)

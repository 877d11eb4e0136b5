"""The unified reranking loss: worked numbers, gradients of both losses, and what holds for its weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nearfar import contrast, near
from nearfar.losses.reranking import RerankingLoss, Weight, reranking_loss, reranking_weights

YES = torch.tensor([[2, 1, -1, 0, 0.5]], dtype=torch.float64)
NO = torch.tensor([[1, 0, 1, 0, -0.5]], dtype=torch.float64)


def case(groups: int = 3, n: int = 5, d: int = 8) -> tuple[Tensor, Tensor]:
    """States of each document, and the rows of yes and no; both with gradients."""
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(groups, n, d, generator=generator, dtype=torch.float64, requires_grad=True)
    return states, torch.randn(2, d, generator=generator, dtype=torch.float64, requires_grad=True)


def info_nce(yes: Tensor, no: Tensor) -> Tensor:
    return F.cross_entropy(yes, torch.zeros(len(yes), dtype=torch.long))


def summed_bce(yes: Tensor, no: Tensor) -> Tensor:
    labels = torch.zeros_like(yes)
    labels[:, 0] = 1
    return F.binary_cross_entropy_with_logits(yes - no, labels, reduction="none").sum(1).mean()


def surrogate(yes: Tensor, no: Tensor, name: Weight) -> Tensor:
    """The loss by weights and scores, without the short cut to the plain loss."""
    weights = reranking_weights(yes, no, name)
    scores = yes if name == "cl" else yes - no
    return (-weights[:, 0] * scores[:, 0] + (weights[:, 1:] * scores[:, 1:]).sum(1)).mean()


def test_the_worked_group() -> None:
    contrastive, supervised = (reranking_weights(YES, NO, name)[0] for name in ("cl", "sft"))
    expected = torch.tensor([0.436979, 0.207124, 0.028031, 0.076197, 0.125627], dtype=torch.float64)
    torch.testing.assert_close(contrastive, expected, atol=1e-6, rtol=0)
    expected = torch.tensor([0.268941, 0.731059, 0.119203, 0.5, 0.731059], dtype=torch.float64)
    torch.testing.assert_close(supervised, expected, atol=1e-6, rtol=0)
    assert reranking_loss(YES, NO, "cl", "cl").item() == pytest.approx(0.574438, abs=1e-6)
    assert reranking_loss(YES, NO, "sft", "sft").item() == pytest.approx(3.759860, abs=1e-6)


@pytest.mark.parametrize(("name", "plain"), [("cl", info_nce), ("sft", summed_bce)])
def test_the_same_weight_and_direction_are_the_plain_loss(name, plain) -> None:
    states, head = case()
    yes, no = states @ head[0], states @ head[1]
    values = [reranking_loss(yes, no, name, name), surrogate(yes, no, name), plain(yes, no)]
    assert values[0].item() == pytest.approx(values[2].item(), abs=1e-12)
    ours, by_weights, expected = (torch.autograd.grad(value, (states, head), retain_graph=True) for value in values)
    for found in (ours, by_weights):
        for gradient, other in zip(found, expected, strict=True):
            torch.testing.assert_close(gradient, other, atol=1e-14, rtol=0)


def test_both_are_instances_of_the_kernel() -> None:
    states, head = case()
    yes, no = (states @ row for row in head.detach())
    options = {"similarity": "dot", "temperature": 1.0, "engine": "dense"}
    first = contrast(
        yes, torch.eye(5).double(), near.same_label(torch.zeros(3, dtype=torch.long), torch.arange(5)), **options
    )
    torch.testing.assert_close(reranking_loss(yes, no, "cl", "cl"), first)
    pairs, labels = torch.stack([no.flatten(), yes.flatten()], 1), torch.tensor([1, 0, 0, 0, 0] * 3)
    second = contrast(pairs, torch.eye(2).double(), near.same_label(labels, torch.arange(2)), **options)
    torch.testing.assert_close(reranking_loss(yes, no, "sft", "sft"), 5 * second)


@pytest.mark.parametrize("weight", ["sft", "cl", "one", "mask"])
@pytest.mark.parametrize("direction", ["sft", "cl", "random"])
def test_the_gradient_is_the_weight_times_the_direction(weight, direction) -> None:
    states, head = case()
    vector = torch.linspace(-1, 1, 8, dtype=torch.float64)
    yes, no = states @ head[0], states @ head[1]
    projected = states @ vector if direction == "random" else None
    loss = reranking_loss(yes, no, weight, direction, projected=projected)
    (gradient,) = torch.autograd.grad(loss, states)
    towards = {"cl": head[0], "sft": head[0] - head[1], "random": vector}[direction].detach()
    weights = reranking_weights(yes, no, weight)
    assert not weights.requires_grad
    assert ((weights >= 0) & (weights <= 1)).all()
    signed = weights.clone()
    signed[:, 0] *= -1
    torch.testing.assert_close(gradient, signed[:, :, None] * towards / 3, atol=1e-14, rtol=0)


@pytest.mark.parametrize("n", [1, 4, 16])
def test_weights_at_equal_logits(n: int) -> None:
    equal = torch.zeros(1, n + 1, dtype=torch.float64)
    contrastive, supervised = (reranking_weights(equal, equal, name)[0] for name in ("cl", "sft"))
    assert contrastive[0].item() == pytest.approx(n / (n + 1))
    assert contrastive[1:].tolist() == pytest.approx([1 / (n + 1)] * n)
    assert supervised.tolist() == [0.5] * (n + 1)
    assert contrastive.sum().item() == pytest.approx(2 * n / (n + 1))
    assert supervised.sum().item() == pytest.approx((n + 1) / 2)


def test_weights_of_a_contrast_balance_and_those_of_supervision_do_not() -> None:
    states, head = case()
    yes, no = (states @ row for row in head.detach())
    for name, balanced in (("cl", True), ("sft", False)):
        weights = reranking_weights(yes, no, name)  # type: ignore[arg-type]
        assert torch.allclose(weights[:, 0], weights[:, 1:].sum(1)) == balanced
        shifted = reranking_weights(yes + torch.tensor([[1.0], [2.0], [3.0]]), no, name)  # type: ignore[arg-type]
        assert torch.allclose(weights, shifted) == balanced


def test_one_negative() -> None:
    yes = torch.tensor([[0.3, 1.1]], dtype=torch.float64)
    no = torch.tensor([[1.1, 0.0]], dtype=torch.float64)
    loss = reranking_loss(yes, no, "cl", "cl")
    assert loss.item() == pytest.approx(F.softplus(yes[0, 1] - yes[0, 0]).item())
    first, second = (reranking_weights(yes, no, name)[0, 0].item() for name in ("cl", "sft"))
    assert first == pytest.approx(second)


def test_a_mask_stops_what_is_learned() -> None:
    yes = torch.tensor([[5.0, -5.0, -4.0]], requires_grad=True)
    no = torch.zeros(1, 3)
    for weight, moves in (("mask", False), ("one", True)):
        (gradient,) = torch.autograd.grad(reranking_loss(yes, no, weight, "sft"), yes)  # type: ignore[arg-type]
        assert bool((gradient != 0).any()) == moves


def test_the_order_of_the_negatives_does_not_matter() -> None:
    states, head = case()
    yes, no = (states @ row for row in head.detach())
    order = [0, 3, 1, 4, 2]
    for weight in ("sft", "cl", "one", "mask"):
        losses = [reranking_loss(y, n, weight, "cl").item() for y, n in ((yes, no), (yes[:, order], no[:, order]))]  # type: ignore[arg-type]
        assert losses[0] == pytest.approx(losses[1])


def test_a_single_logit_has_a_no_of_zero() -> None:
    states, head = case()
    yes, no = (states @ head[0]), torch.zeros(3, 5, dtype=torch.float64)
    expected = summed_bce(yes, no).item()
    assert reranking_loss(yes, no, "sft", "sft").item() == pytest.approx(expected)
    for weight in ("sft", "cl"):
        both = [
            torch.autograd.grad(reranking_loss(yes, no, weight, d), states, retain_graph=True)[0] for d in ("sft", "cl")
        ]  # type: ignore[arg-type]
        torch.testing.assert_close(*both, atol=1e-14, rtol=0)


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="same shape"):
        reranking_loss(YES, NO[:, 1:])
    with pytest.raises(ValueError, match="projected"):
        reranking_loss(YES, NO, "sft", "random")
    with pytest.raises(ValueError, match="projected"):
        reranking_loss(YES, NO, "sft", "sft", projected=YES)


def test_the_module_reads_groups_of_a_classifier(plain_model_folder) -> None:
    from sentence_transformers import CrossEncoder

    torch.manual_seed(0)
    model = CrossEncoder(str(plain_model_folder), num_labels=1, device="cpu").eval()
    columns = [["the cat", "a bank loan"], ["dog on mat", "money in the account"], ["red", "snow and wind today"]]
    pairs = [(columns[0][row], column[row]) for row in range(2) for column in columns[1:]]
    logits = torch.tensor(model.predict(pairs, activation_fn=torch.nn.Identity())).reshape(2, 2)
    for weight in ("sft", "cl"):
        expected = reranking_loss(logits, torch.zeros(2, 2), weight, weight)  # type: ignore[arg-type]
        loss = RerankingLoss(model, weight, weight)(columns)  # type: ignore[arg-type]
        assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
        loss.backward()
    with pytest.raises(ValueError, match="classifier"):
        RerankingLoss(model, direction="random")

"""Weights of rationales by worked numbers, gradients, and what is chosen."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from nearfar.losses.rationales import Weighing, likeliest, many_to_one, separated, shares

GOOD, BAD = [1.2, 0.8, 2.0], [2.5, 3.4]
GOOD_QUALITY, BAD_QUALITY = [0.9, 0.7, 0.4], [0.3, 0.1]


def value(quality: bool, good: list[float] = GOOD, bad: list[float] = BAD, **options: Any) -> float:
    how = Weighing(**options)
    (best,) = likeliest(good, [0] * len(good))
    share = shares(bad, [0] * len(bad), how)
    double = {"dtype": torch.float64}
    qualities = (torch.tensor([GOOD_QUALITY[best]], **double), torch.tensor(BAD_QUALITY[: len(bad)], **double))
    found = many_to_one(
        torch.tensor([good[best]], **double),
        torch.tensor(bad, **double),
        torch.tensor(share, **double),
        how,
        *(qualities if quality else ()),
    )
    return float(found)


def test_the_likeliest_positive_of_each_input_counts() -> None:
    assert likeliest(GOOD, [0, 0, 0]) == [1]
    assert likeliest([2.0, 1.0, 0.5, 0.7], [0, 1, 0, 1]) == [2, 3]
    assert likeliest([1.0, 1.0], [0, 0]) == [0]


@pytest.mark.parametrize(
    ("neg_reduce", "plain", "guided"),
    [
        ("max", 0.8, 0.56),
        ("min", 0.8 + 0.2 * 0.5, 0.7 * 0.8 + 0.2 * 0.7 * 0.5),
        ("mean", 0.85, 0.56 + 0.2 * 0.7 * 0.25),
    ],
)
def test_worked_values(neg_reduce: str, plain: float, guided: float) -> None:
    assert value(False, neg_reduce=neg_reduce) == pytest.approx(plain)
    assert value(True, neg_reduce=neg_reduce) == pytest.approx(guided)
    assert value(True, neg_reduce=neg_reduce, weight_map="none") == pytest.approx(plain)


def test_other_maps_of_quality() -> None:
    hard = value(True, neg_reduce="min", weight_map="hard")  # 0.7 counts as good, 0.3 as bad
    assert hard == pytest.approx(0.8 + 0.2 * 0.5)
    assert value(True, neg_reduce="min", normalise_weights=True) == pytest.approx(0.8 + 0.2 * 0.7 * 0.5)


@pytest.mark.parametrize("neg_reduce", ["max", "min", "mean"])
def test_negatives_above_the_margin_have_neither_value_nor_gradient(neg_reduce: str) -> None:
    how = Weighing(neg_reduce=neg_reduce)
    negative = torch.tensor([3.0, 3.4], requires_grad=True)
    share = torch.tensor(shares(negative.tolist(), [0, 0], how))
    loss = many_to_one(torch.zeros(1), negative, share, how)
    assert float(loss.detach()) == 0
    # At the margin itself the gradient of a clamp may be either one.
    assert float(torch.autograd.grad(loss, negative)[0][1]) == 0


def test_one_negative_above_the_margin_silences_its_input_under_max_only() -> None:
    assert value(False, bad=[2.5, 3.4]) == pytest.approx(0.8)
    assert value(False, bad=[2.5]) == pytest.approx(0.9)
    assert value(False, bad=[2.5, 3.4], neg_reduce="min") == pytest.approx(0.9)


def test_the_gradient_of_a_negative_is_that_of_its_loss_times_a_negative_weight() -> None:
    loss = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    quality = torch.tensor([0.3], dtype=torch.float64)
    value_ = many_to_one(torch.zeros(1), loss, torch.ones(1), Weighing(), torch.ones(1), quality)
    (gradient,) = torch.autograd.grad(value_, loss)
    assert float(gradient) == pytest.approx(-0.2 * 0.7)


def test_an_undecided_discriminator() -> None:
    nothing = torch.zeros(3)
    assert float(separated(nothing, nothing)) == pytest.approx(2 * math.log(2))
    assert float(separated(nothing, nothing[:0])) == pytest.approx(math.log(2))
    assert float(separated(torch.full((2,), 20.0), torch.full((2,), -20.0))) < 1e-6


def test_shares_of_several_inputs_sum_to_one_in_each() -> None:
    losses, owners = [2.0, 1.0, 2.5, 0.5], [0, 0, 1, 0]
    assert shares(losses, owners, Weighing()) == [1, 0, 1, 0]
    assert shares(losses, owners, Weighing(neg_reduce="min")) == [0, 0, 1, 1]
    assert shares(losses, owners, Weighing(neg_reduce="mean")) == pytest.approx([1 / 3, 1 / 3, 1, 1 / 3])


def test_moving_away_from_a_negative_ends_at_the_margin() -> None:
    """Gradient ascent on the loss of a negative alone is bounded, unlike that of plain unlikelihood."""
    logits = torch.zeros(10, requires_grad=True)
    optimiser = torch.optim.SGD([logits], lr=0.2)
    for _ in range(200):
        negative = torch.nn.functional.cross_entropy(logits[None], torch.tensor([0]), reduction="none")
        optimiser.zero_grad()
        many_to_one(torch.zeros(1), negative, torch.ones(1), Weighing(beta=1.0)).backward()
        optimiser.step()
    assert 3.0 <= float(negative.detach()) <= 3.1

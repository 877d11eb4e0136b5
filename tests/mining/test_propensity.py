"""Inverse propensities worked by hand, and their limits."""

from __future__ import annotations

import pytest
import torch

from nearfar.mining import negative_log_weights, positive_log_weights, probabilities

SEM, SURF = (
    torch.tensor([[0.95, 0.9, 0.9, 0.3]], dtype=torch.float64),
    torch.tensor([[1.0, 0.9, 0.3, 0.2]], dtype=torch.float64),
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1, [0.147287, 0.155039, 0.465116, 0.232558]),
        (1, 0, [0.311475, 0.295082, 0.295082, 0.098361]),
        (2, 0.5, [0.262629, 0.248461, 0.430347, 0.058563]),
    ],
)
def test_positives_worked_by_hand(a, b, expected) -> None:
    found = probabilities(positive_log_weights(SEM, SURF, a=a, b=b, clip=0.1))[0]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_negatives_worked_by_hand() -> None:
    semantic, surface = (
        torch.tensor([[0.9, 0.4, 0.4, 0.1]], dtype=torch.float64),
        torch.tensor([[0.5, 0.8, 0.1, 0.0]], dtype=torch.float64),
    )
    found = probabilities(negative_log_weights(semantic, surface, a=1, b=1, clip=0.1, t_fn=0.95))[0]
    assert found.tolist() == pytest.approx([0.041958, 0.629371, 0.139860, 0.188811], abs=1e-6)
    cut = probabilities(negative_log_weights(semantic, surface, a=1, b=1, clip=0.1, t_fn=0.9))[0]
    assert cut[0] == 0
    assert cut[1:].tolist() == pytest.approx((found[1:] / found[1:].sum()).tolist())


def test_exponents_of_zero() -> None:
    zero = torch.tensor([[0.0, -0.2, 0.9, 0.3]], dtype=torch.float64)
    assert probabilities(positive_log_weights(zero, SURF, a=0, b=0)).tolist() == [[0.25] * 4]
    assert probabilities(negative_log_weights(zero, SURF, a=0, b=0)).tolist()[0] == pytest.approx(
        [1 / 3, 1 / 3, 0, 1 / 3]
    )
    by_meaning = [probabilities(positive_log_weights(SEM, surface, a=3, b=0)) for surface in (SURF, 1 - SURF)]
    torch.testing.assert_close(*by_meaning)


def test_more_words_less_positive_more_meaning_more_positive() -> None:
    rising = torch.linspace(0.1, 1, 10).double()[None]
    same = torch.full_like(rising, 0.7)
    assert (positive_log_weights(same, rising, a=2, b=1, clip=0.1).diff() < 0).all()
    assert (positive_log_weights(rising, same, a=2, b=1, clip=0.1).diff() > 0).all()
    assert (negative_log_weights(same, rising, a=1, b=1, clip=0.05)[:, :-1].diff() > 0).all()


@pytest.mark.parametrize(("b", "clip"), [(1.0, 0.1), (2.5, 0.3), (0.5, 0.01)])
def test_no_weight_exceeds_the_bound_of_its_clip(b, clip) -> None:
    semantic, surface = torch.rand(2, 50, 40, generator=generator()).double()
    semantic[0, 0], surface[0, 0] = 1, 0
    largest = positive_log_weights(semantic, surface, a=1, b=b, clip=clip).max().exp()
    assert largest == pytest.approx(clip**-b)
    assert negative_log_weights(semantic, surface, a=1, b=b, clip=clip).max().exp() <= clip**-b * (1 + 1e-12)


def test_long_lists_neither_vanish_nor_overflow() -> None:
    semantic, surface = torch.rand(2, 3, 5000, generator=generator())
    q = probabilities(positive_log_weights(semantic, surface, a=100, b=100, clip=1e-3))
    torch.testing.assert_close(q.sum(1), torch.ones(3))
    assert probabilities(torch.full((1, 3), -torch.inf)).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("clip", [0.0, -0.1, 1.1])
def test_a_clip_is_a_propensity_above_0(clip: float) -> None:
    for weights in (positive_log_weights, negative_log_weights):
        with pytest.raises(ValueError, match=f"clip.* {clip}"):
            weights(SEM, SURF, clip=clip)


def test_an_empty_slot_has_no_weight_whatever_the_exponents() -> None:
    semantic = torch.tensor([[0.5, -torch.inf]])
    for weights in (positive_log_weights, negative_log_weights):
        assert probabilities(weights(semantic, torch.zeros(1, 2), a=0, b=0)).tolist() == [[1, 0]]

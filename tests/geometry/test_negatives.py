"""Which negatives push an anchor: worked numbers, and the gradients of the loss."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from nearfar import contrast, far, geometry, near
from nearfar.errors import InputError

SQUARE = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
# The positive first, as an anchor's similarities to four candidates.
S = torch.tensor([[0.9, 0.7, 0.2, -0.3]], dtype=torch.float64)
EYE = torch.eye(4, dtype=torch.float64)
R = {
    0.07: ([0.999210, 0.000790, 0.000001], 0.006442),
    0.2: ([0.918423, 0.075389, 0.006188], 0.304511),
    0.5: ([0.665241, 0.244728, 0.090031], 0.832396),
    1.0: ([0.506480, 0.307196, 0.186324], 1.020191),
}


def vectors(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def penalties(s: Tensor, temperature: float, **more) -> Tensor:
    return geometry.relative_penalties(s, torch.eye(s.shape[1]).to(s), None, None, temperature, "dot", **more)


def entropy(s: Tensor, temperature: float) -> float:
    found = geometry.effective_negatives(s, torch.eye(s.shape[1]).to(s), temperature=temperature, similarity="dot")
    return math.log(float(found[0]))


@pytest.mark.parametrize("temperature", R)
def test_relative_penalties_of_the_worked_row(temperature: float) -> None:
    expected, expected_entropy = R[temperature]
    r = penalties(S, temperature)
    assert r[0].tolist() == pytest.approx([0, *expected], abs=1e-6)
    assert float(r.sum()) == pytest.approx(1.0, rel=1e-12)
    assert entropy(S, temperature) == pytest.approx(expected_entropy, abs=1e-6)
    assert float(r[0, 1] / r[0, 3]) == pytest.approx(math.exp((0.7 + 0.3) / temperature), rel=1e-12)


@pytest.mark.parametrize("far_", [None, far.hardest(0.5), far.harder(2.0), far.hardest(0.5) + far.harder(2.0)])
@pytest.mark.parametrize("near_", [near.paired(), near.weights(torch.tensor([[1.0, 0, 1, 0, 0]] * 3))])
def test_relative_penalties_are_those_of_the_loss(near_, far_) -> None:
    g = torch.Generator().manual_seed(1)
    s = (torch.rand(3, 5, generator=g, dtype=torch.float64) * 2 - 1).requires_grad_()
    eye = torch.eye(5, dtype=torch.float64)
    loss = contrast(s, eye, near_, far_, temperature=0.4, similarity="dot", engine="dense")
    (gradient,) = torch.autograd.grad(loss, s)
    push = torch.where(near_.bind(3, 5, s).at(slice(0, 3)).to_dense() > 0, 0, gradient)
    assert (push > 0).any()
    r = geometry.relative_penalties(s, eye, near_, far_, 0.4, "dot")
    torch.testing.assert_close(r, push / push.sum(1, keepdim=True), rtol=1e-12, atol=1e-14)


def test_the_entropy_grows_with_the_temperature_at_a_known_rate() -> None:
    grid = torch.linspace(0.03, 2, 60).tolist()
    found = [entropy(S, tau) for tau in grid]
    assert all(one < other for one, other in itertools.pairwise(found))
    for tau in (0.1, 0.3, 1.0):
        slope = (entropy(S, tau + 1e-5) - entropy(S, tau - 1e-5)) / 2e-5
        r, s = penalties(S, tau)[0, 1:], S[0, 1:]
        variance = float((r * s.square()).sum() - (r * s).sum() ** 2)
        assert slope == pytest.approx(variance / tau**3, rel=1e-4)


def test_penalties_within_the_interval_alone() -> None:
    # Two of three negatives are kept; the rest gets nothing.
    r = geometry.relative_penalties(S, EYE, None, far.hardest(0.67), 0.2, "dot")
    assert r[0].tolist() == pytest.approx([0, 0.918423 / 0.993812, 0.075389 / 0.993812, 0], abs=1e-6)


def test_an_anchor_without_negatives() -> None:
    x = torch.eye(2)
    target = near.weights(torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    assert geometry.relative_penalties(x, x, target).tolist() == [[0, 0], [0, 1]]
    assert geometry.effective_negatives(x, x, target).tolist() == [0, 1]


def test_cosine_is_the_default_and_half_precision_is_raised() -> None:
    a, c = vectors(4, 3), vectors(6, 3, seed=1)
    unit = torch.nn.functional.normalize
    expected = geometry.relative_penalties(unit(a), unit(c), None, None, 0.3, "dot")
    torch.testing.assert_close(geometry.relative_penalties(a * 4, c, temperature=0.3), expected)
    half = geometry.relative_penalties(a.bfloat16(), c, temperature=0.3)
    torch.testing.assert_close(half, expected, atol=0.02, rtol=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geometry.relative_penalties(EYE, EYE, temperature=0), "temperature: invalid value 0"),
        (lambda: geometry.relative_penalties(EYE, EYE, similarity="l2"), "similarity: .*'l2'"),  # type: ignore[arg-type]
        (lambda: geometry.effective_negatives(EYE, SQUARE), "same width"),
    ],
)
def test_wrong_arguments(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()

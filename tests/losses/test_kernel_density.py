"""The kernel density of codes: worked numbers, bounds, the kernel's own value, and where gradients go."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from nearfar import contrast, far
from nearfar.losses.hypersphere import alignment, uniformity
from nearfar.losses.kernel_density import joint_density, spread

C = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
U = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)


def codes(n: int = 9, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    c = F.normalize(torch.randn(n, 4, generator=draw, dtype=torch.float64), dim=1)
    return c, torch.randn(n, 3, generator=draw, dtype=torch.float64)


def squared(x: torch.Tensor) -> torch.Tensor:
    return ((x[:, None] - x) ** 2).sum(2)


def test_the_worked_example() -> None:
    assert float(spread(C)) == pytest.approx(-2.339988613, abs=1e-9)
    assert float(spread(U)) == pytest.approx(-2.032728385, abs=1e-9)
    assert float(joint_density(C, U)) == pytest.approx(-1.065409278, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_both_against_their_definitions(temperature: float) -> None:
    c, u = codes()
    kernel = (-squared(u) / (2 * temperature)).exp()
    off_diagonal = kernel[~torch.eye(len(u), dtype=torch.bool)]
    assert float(spread(u, temperature)) == pytest.approx(float(off_diagonal.mean().log()), abs=1e-10)
    both = (-(squared(c) + squared(u)) / (2 * temperature)).exp().mean(1).log().mean()
    assert float(joint_density(c, u, temperature)) == pytest.approx(float(both), abs=1e-10)


def test_on_unit_vectors_spread_is_uniformity() -> None:
    c, _ = codes()
    assert float(spread(c, 0.25)) == pytest.approx(float(uniformity(c, 2.0)), abs=1e-10)


def test_the_bounds() -> None:
    c, u = codes()
    assert -math.log(len(c)) <= float(joint_density(c, u)) <= 0
    assert float(spread(u)) <= 0
    far_apart = 100 * torch.eye(9, dtype=torch.float64)
    assert float(joint_density(c, far_apart)) == pytest.approx(-math.log(9), abs=1e-10)
    same = C[:1].expand(5, -1)
    assert float(joint_density(same, torch.zeros(5, 2))) == pytest.approx(0, abs=1e-7)


def test_a_constant_second_code_leaves_the_density_of_the_first_and_any_other_lowers_it() -> None:
    c, u = codes()
    alone = joint_density(c, torch.zeros_like(u))
    own = (-squared(c)).exp().mean(1).log().mean()
    assert float(alone) == pytest.approx(float(own), abs=1e-10)
    assert float(joint_density(c, torch.full_like(u, 3.0))) == pytest.approx(float(alone), abs=1e-10)
    assert float(joint_density(c, u)) < float(alone)


def test_it_factorises_on_a_grid_of_codes() -> None:
    c, u = codes(6)
    rows, columns = (x.flatten() for x in torch.meshgrid(torch.arange(6), torch.arange(5), indexing="ij"))
    c, u = c[rows], u[columns]
    same = C[:1].expand(len(u), -1)
    together = float(joint_density(c, u))
    assert together == pytest.approx(
        float(joint_density(c, torch.zeros_like(u))) + float(joint_density(same, u)), abs=1e-12
    )


def test_it_is_one_call_of_the_kernel() -> None:
    c, u = codes()
    kernel = contrast(c, c, far=far.by_distance(u, u, 0.5), temperature=0.5, engine="dense")
    assert float(joint_density(c, u)) == pytest.approx(float(kernel) - math.log(len(c)), abs=1e-10)


def test_gradients_equal_those_of_the_definitions() -> None:
    c, u = (x.requires_grad_() for x in codes())
    normal = F.normalize(c, dim=1)
    by_hand = (-(squared(normal) + squared(u))).exp().mean(1).log().mean()
    kernel = (-squared(u)).exp()[~torch.eye(len(u), dtype=torch.bool)].mean().log()
    for found, expected, inputs in ((joint_density(c, u), by_hand, (c, u)), (spread(u), kernel, (u,))):
        for mine, theirs in zip(
            torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs, retain_graph=True), strict=True
        ):
            assert torch.allclose(mine, theirs, atol=1e-8)


def test_equal_points_have_spread_0_and_finite_gradients() -> None:
    u = torch.zeros(4, 3, requires_grad=True)
    value = spread(u)
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert u.grad is not None
    assert torch.isfinite(u.grad).all()


def test_infonce_is_alignment_and_the_density_of_pairs() -> None:
    a, b = (F.normalize(x, dim=1) for x in torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1)).double())
    distances = ((a[:, None] - b) ** 2).sum(2)
    expected = alignment(a, b) + (-distances).logsumexp(1).mean()
    assert float(contrast(a, b, temperature=0.5)) == pytest.approx(float(expected), abs=1e-6)


def test_one_point_is_refused() -> None:
    with pytest.raises(ValueError, match="two points"):
        spread(torch.zeros(1, 3))

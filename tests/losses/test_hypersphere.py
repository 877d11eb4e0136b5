"""Terms that spread and align: worked numbers, exact gradients, several processes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import hypersphere_worker
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from joint_processes import joint
from nearfar import contrast, geometry
from nearfar.engines import Streaming
from nearfar.losses import ContrastLoss, HypersphereLoss, HypersphereWeights
from nearfar.losses.hypersphere import alignment, cross_uniformity, uniformity

CUA = HypersphereWeights()
CUAXU = HypersphereWeights(cross_uniformity=1.0)


def sides(n: int = 7, d: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, d, generator=g, dtype=torch.float64)
    return a, b


def turned(x: Tensor, seed: int = 3) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return x @ torch.linalg.qr(torch.randn(x.shape[1], x.shape[1], generator=g, dtype=x.dtype))[0]


def by_definition(a: Tensor, b: Tensor, t: float = 2.0) -> Tensor:
    a, b = (torch.nn.functional.normalize(x, dim=1) for x in (a, b))
    kernel = (-t * (a[:, None] - b).square().sum(2)).exp()
    return kernel[~torch.eye(len(a), dtype=torch.bool)].mean().log()


def loss(a: Tensor, b: Tensor, weights: HypersphereWeights, temperature: float, **options: Any) -> Tensor:
    module = HypersphereLoss(torch.nn.Identity(), weights, temperature=temperature, symmetric=True, **options)  # type: ignore[arg-type]
    return module.loss_of_vectors([a, b], None, None, temperature)


def directions(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


def test_weights_of_the_papers_losses() -> None:
    assert HypersphereWeights.of("clip") == HypersphereWeights(0, 0, 0)
    assert HypersphereWeights.of("cua") == CUA
    assert HypersphereWeights.of("cuaxu") == CUAXU
    own = HypersphereWeights.of("cua", 0.0, None, 0.5, t=1.0, self_pairs=True)
    assert own == HypersphereWeights(0.0, 1.0, 0.5, t=1.0, self_pairs=True)


def test_alignment_is_two_minus_twice_the_cosine() -> None:
    a, b = sides()
    cosine = torch.nn.functional.cosine_similarity(a, b).mean()
    assert float(alignment(a, b)) == pytest.approx(float(2 - 2 * cosine), abs=1e-14)
    assert float(alignment(a, b)) == pytest.approx(geometry.alignment(a, b), abs=1e-12)


def test_a_common_rotation_changes_nothing() -> None:
    a, b = sides()
    for term in (uniformity, lambda x: cross_uniformity(x, turned(b) if x is not a else b)):
        assert abs(float(term(a) - term(turned(a)))) < 1e-12
    assert abs(float(alignment(a, b) - alignment(turned(a), turned(b)))) < 1e-12


def test_uniformity_of_known_sets() -> None:
    one = torch.ones(6, 3, dtype=torch.float64)
    assert float(uniformity(one)) == pytest.approx(0, abs=1e-12)
    assert float(uniformity(torch.eye(8, dtype=torch.float64))) == pytest.approx(-4, abs=1e-12)
    x = torch.randn(2000, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(uniformity(x)) == pytest.approx(-4 + 8 / 128, abs=5e-4)
    assert float(uniformity(x)) == pytest.approx(-geometry.uniformity(x), abs=1e-9)


def test_with_self_pairs() -> None:
    eye = torch.eye(4, dtype=torch.float64)
    assert float(uniformity(eye, self_pairs=True)) == pytest.approx(0.0534904, abs=5e-8)
    x = sides()[0].requires_grad_()
    plain, text = uniformity(x), uniformity(x, self_pairs=True)
    spread = ((len(x) - 1) * plain.exp()).detach()
    assert float(text.detach().exp()) == pytest.approx(float(1 + spread), rel=1e-12)
    slopes = [torch.autograd.grad(value, x)[0] for value in (plain, text)]
    torch.testing.assert_close(slopes[1], slopes[0] * spread / (1 + spread), rtol=1e-10, atol=1e-14)


def test_cross_uniformity_alone_rewards_a_gap() -> None:
    a, _ = sides()
    assert float(cross_uniformity(a, a)) == pytest.approx(float(uniformity(a)), abs=1e-12)
    same = a[:1].repeat(5, 1)
    assert float(cross_uniformity(same, -same)) == pytest.approx(-8, abs=1e-12)
    assert float(cross_uniformity(a, -a)) == pytest.approx(-geometry.cross_uniformity(a, -a), abs=1e-12)


@pytest.mark.parametrize("engine", ["dense", "streaming", Streaming(block_rows=2)])
def test_values_and_gradients_are_those_of_the_definition(engine: Any) -> None:
    a, b = (x.requires_grad_() for x in sides())
    for t in (0.5, 2.0):
        for found, expected in (
            (uniformity(a, t, engine=engine), by_definition(a, a, t)),
            (cross_uniformity(a, b, t, engine=engine), by_definition(a, b, t)),
        ):
            assert float(found.detach()) == pytest.approx(float(expected.detach()), abs=1e-12)
            for side in (a, b):
                got, wanted = (
                    torch.autograd.grad(x, side, allow_unused=True, retain_graph=True)[0] for x in (found, expected)
                )
                if wanted is None:
                    assert got is None
                    continue
                torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-12)


def test_gradient_is_four_times_a_softmax_over_all_negatives() -> None:
    a, b = (torch.nn.functional.normalize(x, dim=1) for x in sides())
    a.requires_grad_()
    (slope,) = torch.autograd.grad(cross_uniformity(a, b), a)
    x = (4 * a.detach() @ b.T).fill_diagonal_(-torch.inf)
    pushes = 4 * x.flatten().softmax(0).view_as(x)
    assert float(pushes.sum()) == pytest.approx(4)
    raw = pushes @ b
    # Along the sphere: what would only lengthen a vector is gone.
    torch.testing.assert_close(slope, raw - (raw * a.detach()).sum(1, keepdim=True) * a.detach())


@pytest.mark.parametrize(
    ("g", "clip", "apart", "aligned", "spread", "crossed"),
    [(0.0, 0.0, 0.0, 0.0, -4.0, -4.0), (0.5, 0.0, 1.0, 1.0, -3.0, -5.0), (0.9, 3.5e-7, 1.8, 3.24, -0.76, -7.24)],
)
def test_a_gap_costs_the_contrastive_loss_nothing(
    g: float, clip: float, apart: float, aligned: float, spread: float, crossed: float
) -> None:
    basis = torch.eye(65, dtype=torch.float64)
    a, b = (math.sqrt(1 - g * g) * basis[:64] + sign * g * basis[64] for sign in (1, -1))
    assert float(contrast(a, b, temperature=0.01, symmetric=True)) == pytest.approx(clip, abs=1e-8)
    # The mean of orthogonal vectors is the same on both sides: the centres differ by 2 g.
    assert geometry.centroid_distance(a, b) == pytest.approx(apart, abs=1e-12)
    assert float(alignment(a, b)) == pytest.approx(aligned, abs=1e-12)
    assert [float(uniformity(x)) for x in (a, b)] == pytest.approx([spread] * 2, abs=1e-12)
    assert float(cross_uniformity(a, b)) == pytest.approx(crossed, abs=1e-12)
    assert float(loss(a, b, CUA, 0.01)) == pytest.approx(clip + spread + aligned, abs=1e-8)
    assert float(loss(a, b, CUAXU, 0.01)) == pytest.approx(clip + spread + aligned + crossed, abs=1e-8)


def test_the_two_dimensional_example() -> None:
    a, b = directions(0, 90), directions(30, 120)
    assert float(contrast(a, b, temperature=0.5, symmetric=True)) == pytest.approx(0.22786, abs=5e-6)
    assert [float(uniformity(x)) for x in (a, b)] == pytest.approx([-4, -4], abs=1e-12)
    assert float(cross_uniformity(a, b)) == pytest.approx(-2.674997, abs=5e-7)
    assert float(alignment(a, b)) == pytest.approx(0.267949, abs=5e-7)
    assert geometry.centroid_distance(a, b) == pytest.approx(0.366025, abs=5e-7)
    assert float(loss(a, b, CUA, 0.5)) == pytest.approx(-3.504191, abs=5e-7)
    assert float(loss(a, b, CUAXU, 0.5)) == pytest.approx(-6.179188, abs=5e-7)


def test_without_weights_it_is_the_contrastive_loss_to_the_last_bit() -> None:
    a, b = (x.float().requires_grad_() for x in sides(64, 16))
    nothing = HypersphereWeights(0, 0, 0)
    plain = ContrastLoss(torch.nn.Identity(), temperature=0.01, symmetric=True)  # type: ignore[arg-type]
    values = [loss(a, b, nothing, 0.01), plain.loss_of_vectors([a, b], None, None, 0.01)]
    assert values[0].equal(values[1])
    slopes = [torch.autograd.grad(value, a)[0] for value in values]
    assert slopes[0].equal(slopes[1])
    assert not loss(a, b, CUA, 0.01).equal(values[0])


def test_negatives_belong_to_the_contrastive_loss_alone() -> None:
    a, b = sides()
    more = sides(seed=1)[0]
    module = HypersphereLoss(torch.nn.Identity(), CUAXU, temperature=0.3)  # type: ignore[arg-type]
    found = module.loss_of_vectors([a, b, more], None, None, 0.3)
    terms = module.terms(a, b)
    assert terms is not None
    assert float(found) == pytest.approx(float(contrast(a, torch.cat([b, more]), temperature=0.3) + terms), rel=1e-12)


def test_half_precision_is_raised() -> None:
    a, b = sides(32, 16)
    half = (a.bfloat16(), b.bfloat16())
    for found, expected in (
        (uniformity(half[0]), uniformity(a)),
        (cross_uniformity(*half), cross_uniformity(a, b)),
        (alignment(*half), alignment(a, b)),
    ):
        assert found.dtype == torch.float32
        assert float(found) == pytest.approx(float(expected), abs=0.02)


def test_one_pair_has_nothing_to_spread() -> None:
    a, b = sides(1)
    for call in (lambda: uniformity(a), lambda: cross_uniformity(a, b)):
        with pytest.raises(ValueError, match=r"uniformity .*got one"):
            call()
    assert float(loss(a, b, CUAXU, 0.3)) == pytest.approx(float(alignment(a, b)), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: alignment(a, b[:3]), "two matrices of the same shape"),
        (lambda a, b: cross_uniformity(a, b[:3]), "two matrices of the same shape"),
        (lambda a, b: uniformity(a, t=0), "invalid t: must be > 0, got 0"),
        (lambda a, b: uniformity(a * math.nan), r"anchors\[0\] contains NaN"),
        (
            lambda a, b: HypersphereLoss(torch.nn.Identity()).loss_of_vectors([a], None, None, 1),
            "requires pairs, got one column",
        ),  # type: ignore[arg-type]
    ],
)
def test_wrong_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(*sides())


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    joint(hypersphere_worker.work, tmp_path)
    found = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2)]
    for kind in (False, True):
        whole = hypersphere_worker.outcome(slice(None), 1, kind)
        for each in found:
            torch.testing.assert_close(each[f"shared {kind}"], whole, rtol=1e-11, atol=1e-12)

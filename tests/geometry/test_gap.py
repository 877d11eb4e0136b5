"""The gap's measures: worked numbers, what they must not depend on, and sides that are mixed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from nearfar import geometry
from nearfar.errors import InputError


def vectors(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def directions(*degrees: float) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


def parted(g: float, n: int = 64) -> tuple[Tensor, Tensor]:
    basis = torch.eye(n + 1, dtype=torch.float64)
    a, b = (math.sqrt(1 - g * g) * basis[:n] + sign * g * basis[n] for sign in (1, -1))
    return a, b


@pytest.mark.parametrize(
    ("g", "apart", "within", "crossed", "aligned"), [(0, 0, 4, 4, 0), (0.5, 1, 3, 5, 1), (0.9, 1.8, 0.76, 7.24, 3.24)]
)
def test_sides_that_are_parted(g: float, apart: float, within: float, crossed: float, aligned: float) -> None:
    a, b = parted(g)
    found = geometry.gap(a, b * 3)
    assert found.centroid_distance == pytest.approx(apart, abs=1e-12)
    assert [found.uniformity_a, found.uniformity_b] == pytest.approx([within] * 2, abs=1e-12)
    assert found.cross_uniformity == pytest.approx(crossed, abs=1e-12)
    assert found.alignment == pytest.approx(aligned, abs=1e-12)
    assert found.positive_cosine == pytest.approx(1 - 2 * g * g, abs=1e-12)
    # Among 64 orthogonal directions and one that all of a side share.
    assert [found.mean_cosine_a, found.mean_cosine_b] == pytest.approx([g * g] * 2, abs=1e-12)
    assert [found.cone_a, found.cone_b] == pytest.approx([math.sqrt(g * g + (1 - g * g) / 64)] * 2, abs=1e-12)
    if g:
        assert found.linear_separability == 1.0
    assert found.pairs == 64


def test_the_two_dimensional_example() -> None:
    a, b = directions(0, 90), directions(30, 120)
    assert geometry.centroid_distance(a, b) == pytest.approx(0.366025, abs=5e-7)
    assert geometry.cross_uniformity(a, b) == pytest.approx(2.674997, abs=5e-7)
    assert geometry.cross_uniformity(a, a) == pytest.approx(geometry.uniformity(a), abs=1e-12)
    assert geometry.cone(directions(0, 60)) == pytest.approx(math.cos(math.pi / 6))


def test_a_common_rotation_and_lengths_change_nothing() -> None:
    a, b = vectors(60, 6) + 0.5, vectors(60, 6, seed=1)
    turn = torch.linalg.qr(vectors(6, 6, seed=2))[0]
    plain, other = (dataclasses.astuple(geometry.gap(*pair)) for pair in ((a, b), (a @ turn * 5, b @ turn)))
    assert other == pytest.approx(plain, abs=1e-9)


def test_sides_that_are_mixed_cannot_be_told_apart() -> None:
    a, b = vectors(2_000, 8), vectors(2_000, 8, seed=1)
    assert abs(geometry.linear_separability(a, b) - 0.5) < 0.06
    assert geometry.linear_separability(a + 3, b - 3) == 1.0
    # One coordinate with an offset, by which most, but not all, can be told.
    half = geometry.linear_separability(a + torch.eye(8).double()[0] * 1.5, b)
    assert 0.65 < half < 0.9
    assert geometry.linear_separability(a, b, seed=1) != geometry.linear_separability(a, b)


def test_a_split_is_by_pairs() -> None:
    # Each pair is a point of its own, and both its vectors lie there: a split by rows would learn nothing either, but
    # one that put the other half of a scored pair into training would find the opposite side and score below chance.
    x = torch.nn.functional.normalize(vectors(400, 200), dim=1)
    assert geometry.linear_separability(x, x) == pytest.approx(0.5, abs=1e-12)


def test_many_pairs_are_sampled() -> None:
    a, b = vectors(3_000, 8) + torch.eye(8).double()[:3].repeat_interleave(1_000, 0) * 4, vectors(3_000, 8, seed=1)
    exact = geometry.cross_uniformity(a, b, max_pairs=None)
    found = [geometry.cross_uniformity(a, b, max_pairs=100_000, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert found == pytest.approx([exact] * 3, abs=0.03)
    assert geometry.linear_separability(a + 9, b - 9, max_pairs=10) == 1.0


def test_explained_variance() -> None:
    # Three directions with variances 4 : 2 : 2 about a centre that is not 0, and one without any.
    x = torch.tensor([[2.0, 0, 0], [-2.0, 0, 0]], dtype=torch.float64)
    assert geometry.explained_variance(x).tolist() == pytest.approx([1, 1, 1])
    eye = torch.eye(5, dtype=torch.float64)
    assert geometry.explained_variance(eye).tolist() == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    y = vectors(300, 6) * torch.tensor([5, 3, 1, 1, 1, 0.1]) + 2
    unit = torch.nn.functional.normalize(y, dim=1)
    singular = torch.linalg.svdvals(unit - unit.mean(0)).square()
    expected = (singular.cumsum(0) / singular.sum()).tolist()
    assert geometry.explained_variance(y).tolist() == pytest.approx(expected, abs=1e-12)


def test_arrays_of_half_the_precision_will_do() -> None:
    a, b = vectors(50, 6), vectors(50, 6, seed=1)
    exact = dataclasses.astuple(geometry.gap(a, b))
    assert dataclasses.astuple(geometry.gap(a.float().numpy(), b.numpy().astype(np.float32))) == pytest.approx(
        exact, abs=1e-5
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geometry.gap(vectors(4, 3), vectors(4, 3)), "a: expected at least 5 vectors"),
        (lambda: geometry.gap(vectors(6, 3), vectors(7, 3)), "same shape"),
        (lambda: geometry.linear_separability(vectors(4, 3), vectors(4, 3)), "at least 5 vectors"),
        (lambda: geometry.cross_uniformity(vectors(1, 3), vectors(1, 3)), "at least 2 vectors"),
        (lambda: geometry.centroid_distance(vectors(1, 3), vectors(1, 3) * math.nan), "b: row 0 contains NaN"),
        (lambda: geometry.centroid_distance(vectors(5, 3), vectors(5, 4)), "same width"),
        (lambda: geometry.explained_variance(torch.ones(4, 3)), "no variance"),
    ],
)
def test_wrong_arguments(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()

"""Geometry: worked numbers, what each measure must not depend on, and that nothing n x n is ever held."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

import nearfar
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


def turned(x: Tensor, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(x.shape[1], x.shape[1], generator=g, dtype=x.dtype))
    return x @ q


def vectors(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def penalties(s: Tensor, temperature: float, **more) -> Tensor:
    return geometry.relative_penalties(s, torch.eye(s.shape[1]).to(s), None, None, temperature, "dot", **more)


def entropy(s: Tensor, temperature: float) -> float:
    found = geometry.effective_negatives(s, torch.eye(s.shape[1]).to(s), temperature=temperature, similarity="dot")
    return math.log(float(found[0]))


def test_it_is_public() -> None:
    assert nearfar.geometry is geometry
    assert "geometry" in nearfar.__all__


def test_uniformity_of_known_sets() -> None:
    assert geometry.uniformity(EYE) == pytest.approx(4.0, abs=1e-12)
    assert geometry.uniformity(SQUARE) == pytest.approx(4.396349, abs=5e-7)
    assert geometry.uniformity(torch.ones(5, 3)) == pytest.approx(0.0, abs=1e-6)
    # Four angles: three pairs of neighbours at 45 degrees, two at 90, one at 135.
    angles = torch.tensor([0.0, 45, 90, 135]).double().deg2rad()
    assert geometry.uniformity(torch.stack([angles.cos(), angles.sin()], 1)) == pytest.approx(1.824953, abs=5e-7)
    assert geometry.uniformity(EYE, t=1.0) == pytest.approx(2.0, abs=1e-12)


def test_uniformity_turns_and_scales_with_the_space() -> None:
    x = vectors(40, 6)
    expected = geometry.uniformity(x)
    assert geometry.uniformity(turned(x)) == pytest.approx(expected, rel=1e-12)
    assert geometry.uniformity(x * torch.arange(1, 41)[:, None]) == pytest.approx(expected, rel=1e-12)
    d2 = torch.cdist(*[torch.nn.functional.normalize(x)] * 2).square()
    kernel = (-2 * d2).exp()[~torch.eye(40, dtype=torch.bool)]
    assert expected == pytest.approx(-math.log(kernel.mean()), rel=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, labels = vectors(50, 6), vectors(50, 6, seed=1), torch.arange(50) % 7

    def everything() -> list[float]:
        ones = (geometry.uniformity, geometry.mean_cosine, geometry.isotropy, geometry.effective_rank)
        of_rows = geometry.effective_negatives(x, y, temperature=0.3).tolist()
        shares = geometry.explained_variance(x).tolist()
        both = (geometry.alignment(x, y), geometry.centroid_distance(x, y), geometry.cross_uniformity(x, y))
        return [f(x) for f in ones] + [*both, geometry.cone(x), geometry.tolerance(x, labels), *shares, *of_rows]

    whole = everything()
    for block in (1, 7, 50):
        monkeypatch.setattr("nearfar.geometry._rows.BLOCK", block)
        assert everything() == pytest.approx(whole, rel=1e-12)


def test_an_estimated_uniformity_is_close_and_repeats() -> None:
    # Three clusters in order: groups that were not shuffled would see one cluster each.
    x = vectors(3_000, 8) + torch.eye(8).double()[:3].repeat_interleave(1_000, 0) * 4
    exact = geometry.uniformity(x, max_pairs=None)
    found = [geometry.uniformity(x, max_pairs=100_000, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert found == pytest.approx([exact] * 3, abs=0.02)
    assert geometry.uniformity(x[:300], max_pairs=10) == pytest.approx(geometry.uniformity(x[:300]), abs=0.3)


def test_alignment() -> None:
    a, b = SQUARE[[0, 0]], SQUARE[[0, 2]]
    assert geometry.alignment(a, a * 3) == pytest.approx(0.0, abs=1e-12)
    assert geometry.alignment(a, b) == pytest.approx(1.0, rel=1e-12)  # 0 and 2
    assert geometry.alignment(a, b, alpha=1) == pytest.approx(math.sqrt(2) / 2, rel=1e-12)
    with pytest.raises(InputError, match="row i of a belongs to row i of b"):
        geometry.alignment(a, SQUARE)


def test_tolerance() -> None:
    angles = torch.tensor([0.0, 45, 90, 135]).double().deg2rad()
    x = torch.stack([angles.cos(), angles.sin()], 1)
    assert geometry.tolerance(x, [0, 0, 1, 1]) == pytest.approx(0.707107, abs=5e-7)
    assert geometry.tolerance(x * 5, ["a", "a", "b", "b"]) == pytest.approx(0.707107, abs=5e-7)
    assert geometry.tolerance(torch.ones(4, 2), torch.tensor([3, 3, 9, 9])) == pytest.approx(1.0)
    # Over pairs, not over labels: three pairs of one label, one of the other, one vector alone.
    y = turned(vectors(6, 4))
    cosines = torch.nn.functional.normalize(y) @ torch.nn.functional.normalize(y).T
    expected = (cosines[0, 1] + cosines[0, 2] + cosines[1, 2] + cosines[3, 4]) / 4
    assert geometry.tolerance(y.numpy(), np.array(["x", "x", "x", "y", "y", "z"])) == pytest.approx(float(expected))


def test_mean_cosine_is_over_all_pairs() -> None:
    assert geometry.mean_cosine(SQUARE) == pytest.approx(-1 / 3)
    assert geometry.mean_cosine(torch.tensor([[1.0, 0], [0.8, 0.6], [0, 1]])) == pytest.approx(1.4 / 3)


def test_isotropy() -> None:
    assert geometry.isotropy(SQUARE) == pytest.approx(1.0)
    # One direction: Z is n exp(1) along it, n exp(-1) against it.
    assert geometry.isotropy(torch.tensor([[1.0, 0, 0]] * 5)) == pytest.approx(math.exp(-2))
    x = vectors(200, 5)
    assert geometry.isotropy(turned(x)) == pytest.approx(geometry.isotropy(x), rel=1e-9)
    assert geometry.isotropy(x + 3) < geometry.isotropy(x)


def test_effective_rank() -> None:
    assert geometry.effective_rank(EYE) == pytest.approx(4.0)
    assert geometry.effective_rank(SQUARE) == pytest.approx(2.0)
    assert geometry.effective_rank(torch.ones(6, 3)) == pytest.approx(1.0, abs=1e-6)
    # Singular values sqrt(3) and 1.
    p = math.sqrt(3) / (1 + math.sqrt(3))
    expected = math.exp(-p * math.log(p) - (1 - p) * math.log(1 - p))
    assert geometry.effective_rank(SQUARE[[0, 0, 1, 2]]) == pytest.approx(expected)


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
        (lambda: geometry.uniformity(torch.ones(1, 3)), "x: at least 2 vectors are needed"),
        (lambda: geometry.uniformity(torch.ones(3)), r"x: a matrix of vectors \(n, d\) is needed"),
        (lambda: geometry.isotropy(torch.ones(3, 3, dtype=torch.int)), "got torch.int32"),
        (lambda: geometry.effective_rank(torch.tensor([[1.0], [math.nan]])), "x: row 1 holds NaN"),
        (lambda: geometry.tolerance(EYE, [1, 2, 3, 4]), "no two vectors share a label"),
        (lambda: geometry.tolerance(EYE, [1, 2]), "2 labels for 4 vectors"),
        (lambda: geometry.relative_penalties(EYE, EYE, temperature=0), "temperature: 0 is no temperature"),
        (lambda: geometry.relative_penalties(EYE, EYE, similarity="l2"), "'l2' is not known"),  # type: ignore[arg-type]
        (lambda: geometry.effective_negatives(EYE, SQUARE), "different widths"),
    ],
)
def test_wrong_input_is_said_in_one_line(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


MEMORY = """
import sys, torch
from pathlib import Path
from nearfar import geometry
assert not {"transformers", "sentence_transformers", "sklearn", "scipy"} & set(sys.modules)
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
def measure(x, labels):
    geometry.uniformity(x, max_pairs=None), geometry.tolerance(x, labels), geometry.isotropy(x)
    geometry.effective_rank(x), geometry.alignment(x, x), geometry.effective_negatives(x[:3000], x)
measure(torch.randn(2500, 8), torch.arange(2500) % 5)
x, labels = torch.randn(12_000, 8), torch.arange(12_000) % 5
before = peak()
measure(x, labels)
print(round(peak() - before))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_flat() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    matrix = 12_000**2 * 4 / 2**20
    assert int(done.stdout) < matrix / 3

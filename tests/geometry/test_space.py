"""One set of vectors, or pairs: worked numbers, invariances, and memory without an n x n matrix."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

import nearfar
from nearfar import geometry
from nearfar.errors import InputError

SQUARE = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
EYE = torch.eye(4, dtype=torch.float64)


def turned(x: Tensor, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(x.shape[1], x.shape[1], generator=g, dtype=x.dtype))
    return x @ q


def vectors(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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
    with pytest.raises(InputError, match="same shape"):
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: geometry.uniformity(torch.ones(1, 3)), "x: expected at least 2 vectors"),
        (lambda: geometry.uniformity(torch.ones(3)), r"x: expected a matrix"),
        (lambda: geometry.isotropy(torch.ones(3, 3, dtype=torch.int)), "got torch.int32"),
        (lambda: geometry.effective_rank(torch.tensor([[1.0], [math.nan]])), "x: row 1 contains NaN"),
        (lambda: geometry.tolerance(EYE, [1, 2, 3, 4]), "no two vectors share a label"),
        (lambda: geometry.tolerance(EYE, [1, 2]), "2 labels for 4 vectors"),
    ],
)
def test_wrong_arguments(call, message: str) -> None:
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

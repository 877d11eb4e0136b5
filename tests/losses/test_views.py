"""The loss of weak and strong views: worked numbers, the limits that it has, and several processes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import views_worker
from safetensors.torch import load_file
from torch import Tensor

from joint_processes import joint
from nearfar import contrast, near
from nearfar.losses.views import matching_views, views_loss


def vectors(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_definition(z: Tensor, h: Tensor, a: float, b: float, smoothing: float) -> Tensor:
    """With torch's cross-entropy: z (2, b, d), h (2, K, b, d), a and b the factors of cosines."""
    z, h, views = F.normalize(z, dim=-1), F.normalize(h, dim=-1), h.shape[1]
    own = torch.arange(z.shape[1])

    def each(one: Tensor, other: Tensor, scale: float, smooth: float) -> Tensor:
        return F.cross_entropy(scale * one @ other.T, own, label_smoothing=smooth)

    weak = each(z[0], z[1], a, 0), each(z[1], z[0], a, 0)
    pairs = [(k, m) for k in range(views) for m in range(views)]
    strong = [torch.stack([each(h[side, k], h[1 - side, m], b, smoothing) for k, m in pairs]).mean() for side in (0, 1)]
    return sum((g + views * s) / (1 + views) for g, s in zip(weak, strong, strict=True)) / 2  # type: ignore[return-value]


@pytest.mark.parametrize("views", [1, 2, 3])
def test_value_and_gradient_are_those_of_the_definition(views: int) -> None:
    z, h = vectors(2, 6, 5).requires_grad_(), vectors(2, views, 6, 5, seed=1).requires_grad_()
    found = views_loss(list(z), (list(h[0]), list(h[1])), 1 / 12, 1 / 9, 0.1)
    wanted = by_definition(z, h, 12, 9, 0.1)
    assert float(found.detach()) == pytest.approx(float(wanted.detach()), abs=1e-12)
    for got, due in zip(torch.autograd.grad(found, (z, h)), torch.autograd.grad(wanted, (z, h)), strict=True):
        torch.testing.assert_close(got, due, rtol=1e-9, atol=1e-12)


def test_without_strong_views_it_is_clip() -> None:
    z = vectors(2, 6, 5)
    assert views_loss(list(z), ((), ()), 0.07, 0.1, 0.1).equal(contrast(z[0], z[1], temperature=0.07, symmetric=True))


@pytest.mark.parametrize("views", [1, 2, 4])
def test_strong_views_that_are_the_weak_ones_change_nothing(views: int) -> None:
    z = vectors(2, 6, 5)
    found = views_loss(list(z), ([z[0]] * views, [z[1]] * views), 0.07, 0.07)
    assert float(found) == pytest.approx(float(contrast(z[0], z[1], temperature=0.07, symmetric=True)), abs=1e-12)


@pytest.mark.parametrize(("batch", "least"), [(6, 0.420956), (128, 0.803997), (4096, 1.156578)])
def test_label_smoothing_keeps_the_loss_above_the_entropy_of_the_targets(batch: int, least: float) -> None:
    own, other = 0.9 + 0.1 / batch, 0.1 / batch
    assert -own * math.log(own) - (batch - 1) * other * math.log(other) == pytest.approx(least, abs=5e-7)
    if batch > 128:
        return
    # The logits of the minimum: one-hot vectors, whose own cosine is higher by log(own / other).
    eye = torch.eye(batch, dtype=torch.float64)
    target = near.smoothed(near.paired(), 0.1)
    found = contrast(eye, eye, target, temperature=1 / math.log(own / other), symmetric=True)
    assert float(found) == pytest.approx(least, abs=5e-7)
    x = vectors(2, batch, 7, seed=3)
    assert float(contrast(x[0], x[1], target, temperature=0.1)) > least


def test_the_views_that_terms_compare() -> None:
    assert list(matching_views(0)) == [(0, 0)]
    assert list(matching_views(2)) == [(0, 0), (1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_scale_of_two_doubles_loss_and_gradient() -> None:
    once, twice = (views_worker.outcome(slice(None), 1, "none", scale=scale) for scale in (1.0, 2.0))
    for name, value in once.items():
        torch.testing.assert_close(2 * value, twice[name], rtol=1e-12, atol=0)


def test_temperatures_stay_in_their_range() -> None:
    loss = views_worker.loss_of("none")
    for difference, expected in ((-9.0, 0.01), (9.0, 1.0)):
        loss.temperatures.difference.data.fill_(difference)
        assert loss.temperatures().tolist() == pytest.approx([expected] * 2, rel=1e-6)
        assert loss.get_config_dict()["temperature"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    """Also batch norms, label smoothing, a cross-correlation and assignments, which depend on the whole batch."""
    joint(views_worker.work, tmp_path)
    found: list[dict[str, Any]] = [load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2)]
    for extra in views_worker.EXTRAS:
        whole = views_worker.outcome(slice(None), 1, extra)
        for each in found:
            for name, value in whole.items():
                torch.testing.assert_close(each[f"{extra} {name}"], value, rtol=1e-8, atol=1e-9)

"""The loss of SepCLR: its terms, where they send gradients, and batches without one of the two datasets."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import nearfar
from nearfar.losses import SeparationLoss, SeparationWeights
from nearfar.losses.attributes import attribute_loss
from nearfar.losses.hypersphere import alignment, uniformity
from nearfar.losses.kernel_density import joint_density, spread
from nearfar.losses.separation import common_terms, informationless, masked, salient_terms
from nearfar.models.augmentation import augmented
from nearfar.models.view_encoders import encoder_with_views

TARGET = torch.tensor([False, True, True, False, True, True, False])


def codes(seed: int = 0) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    c1, c2 = F.normalize(torch.randn(2, 7, 4, generator=draw, dtype=torch.float64), dim=2)
    s1, s2 = torch.randn(2, 7, 3, generator=draw, dtype=torch.float64).requires_grad_()
    return (c1, c2), (s1, s2)


def loss_of(folder: Path, weights: SeparationWeights, discrete: list[bool] | None = None) -> SeparationLoss:
    torch.manual_seed(0)
    model, _ = encoder_with_views(nearfar.load(folder, device="cpu"), "text", ("salient", "common"), dims=8)
    return SeparationLoss(model, weights, augmented, discrete)


def test_the_loss_is_the_sum_of_its_terms(tiny_model_folder: Path) -> None:
    c, s = codes()
    u1, u2 = (torch.where(TARGET[:, None], x, torch.zeros_like(x)) for x in s)
    common = ((c[0] - c[1]) ** 2).sum(1).mean() + uniformity(c[0], 1.0) + uniformity(c[1], 1.0)
    salient = ((s[0] - s[1]) ** 2).sum(1)[TARGET].mean() + spread(u1) + spread(u2)
    away = sum((x[~TARGET] ** 2).sum(1).mean() for x in s) / 2
    joint = (joint_density(c[0], u1) + joint_density(c[1], u2)) / 2
    found = loss_of(tiny_model_folder, SeparationWeights(7.0, 5.0, 3.0)).loss_of_codes(c, s, TARGET)
    expected = common + 7 * salient + 5 * away + 3 * joint
    assert float(found.detach()) == pytest.approx(float(expected.detach()), abs=1e-8)


def test_without_further_weights_only_the_common_terms_remain(tiny_model_folder: Path) -> None:
    c, s = codes()
    found = loss_of(tiny_model_folder, SeparationWeights(0.0, 0.0, 0.0)).loss_of_codes(c, s, TARGET)
    assert float(found) == pytest.approx(float(common_terms(*c)), abs=1e-12)
    assert float(found) == pytest.approx(float(alignment(*c) + uniformity(c[0], 1) + uniformity(c[1], 1)), abs=1e-10)


def test_only_the_distance_from_0_moves_the_background() -> None:
    c, (s, _) = codes()
    for value in (spread(masked(s, TARGET)), joint_density(c[0], masked(s, TARGET)), salient_terms(s, s, TARGET)):
        (gradient,) = torch.autograd.grad(value, s)
        assert (gradient[~TARGET] == 0).all()
        assert (gradient[TARGET] != 0).any()
    (gradient,) = torch.autograd.grad(informationless(s, TARGET), s)
    assert torch.allclose(gradient[~TARGET], 2 * s[~TARGET] / 3)
    assert (gradient[TARGET] == 0).all()


@pytest.mark.parametrize("target", [torch.zeros(7, dtype=torch.bool), torch.ones(7, dtype=torch.bool)])
def test_a_batch_of_one_dataset_has_finite_values_and_gradients(target: torch.Tensor, tiny_model_folder: Path) -> None:
    c, s = codes()
    assert float(spread(masked(s[0], torch.zeros_like(TARGET))).detach()) == pytest.approx(0, abs=1e-12)
    found = loss_of(tiny_model_folder, SeparationWeights()).loss_of_codes(c, s, target)
    assert torch.isfinite(found)
    for gradient in torch.autograd.grad(found, s):
        assert torch.isfinite(gradient).all()


def test_a_batch_of_one_row_has_no_uniformity() -> None:
    (c1, c2), (s1, s2) = codes()
    assert torch.isfinite(common_terms(c1[:1], c2[:1]))
    assert float(salient_terms(s1[:1], s2[:1], TARGET[:1]).detach()) == 0


def test_how_low_the_spread_can_be_beside_a_background() -> None:
    target = torch.arange(256) >= 128
    s = 100 * torch.randn(256, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    least = math.log(128 * 127 / (256 * 255))
    assert least == pytest.approx(-1.390224, abs=1e-6)
    assert float(spread(masked(s, target))) == pytest.approx(least, abs=1e-6)


def test_with_attributes_one_view_is_the_row_itself_and_uniformity_counts_half(tiny_model_folder: Path) -> None:
    c, (s, _) = codes()
    s = s[:, :2]
    attributes = torch.rand(7, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    loss = loss_of(tiny_model_folder, SeparationWeights(salient=4.0, joint=3.0), [False, True])
    found = loss.loss_with_attributes(*c, s, TARGET, attributes)
    expected = alignment(*c) + (uniformity(c[0], 1.0) + uniformity(c[1], 1.0)) / 2
    expected = expected + 4 * attribute_loss(s, TARGET, attributes, [False, True])
    expected = expected + 3 * joint_density(c[0], masked(s, TARGET))
    assert float(found.detach()) == pytest.approx(float(expected.detach()), abs=1e-8)


def test_the_common_encoder_of_a_loss_without_joint_density_is_not_moved_by_the_salient_terms(
    tiny_model_folder: Path,
) -> None:
    found = []
    for weights in (SeparationWeights(joint=0.0), SeparationWeights(0.0, 0.0, 0.0)):
        loss = loss_of(tiny_model_folder, weights)
        texts = ["the cat sits", "a dog runs", "the sea", "blue sky", "green grass", "cold snow"]
        features = loss.model.preprocess(texts, task="salient")
        torch.manual_seed(1)
        loss([features], torch.tensor([0, 1, 0, 1, 0, 1])).backward()
        routes = loss.model[0].sub_modules
        found.append([p.grad for p in [*routes["common"].parameters(), *loss.common_head.parameters()]])
    assert any(gradient is not None and (gradient != 0).any() for gradient in found[0])
    for mine, plain in zip(*found, strict=True):
        assert (mine is None and plain is None) or torch.equal(mine, plain)

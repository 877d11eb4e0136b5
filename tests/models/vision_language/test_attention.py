from __future__ import annotations

import pytest
import torch
from torch import nn

from nearfar.models.vision_language.attention import CrossAttention, GatedCrossAttention, Resampler, TextPooling


def millions(module: nn.Module) -> float:
    return sum(each.numel() for each in module.parameters()) / 1e6


def test_sizes_with_the_widths_of_the_paper() -> None:
    # OPT-1.3B is 2048 wide, ViT-L/14 1024.
    with torch.device("meta"):
        resampler, pooling = Resampler(1024, 64, 6, 8, 64), TextPooling(2048, 8, 64)
        full, half = (GatedCrossAttention(2048, 1024, 8, 64, compress) for compress in (1, 2))
    assert millions(resampler) == pytest.approx(63.0, abs=0.05)
    assert millions(pooling) == pytest.approx(37.8, abs=0.05)
    assert millions(full) == pytest.approx(36.7, abs=0.05)
    projections = 512 * (1024 + 2048) / 1e6
    whole = millions(resampler) + millions(pooling) + projections
    for blocks, block, expected in ((24, full, 983.4), (12, full, 542.9), (12, half, 322.7), (6, half, 212.5)):
        assert whole + blocks * millions(block) == pytest.approx(expected, abs=0.15)


def test_what_may_see_nothing_gets_zero_and_no_gradient_is_undefined() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(8, 6, 2, 4)
    x, other = torch.randn(1, 3, 8, requires_grad=True), torch.randn(1, 5, 6)
    allowed = torch.zeros(1, 3, 5, dtype=torch.bool)
    allowed[0, 1, 2] = True
    found = attention(x, other, allowed)
    assert (found[0, [0, 2]] == 0).all()
    assert found[0, 1].abs().sum() > 0
    found.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_attention_to_one_is_its_value() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(8, 6, 2, 4)
    other = torch.randn(1, 5, 6)
    allowed = torch.zeros(1, 1, 5, dtype=torch.bool)
    allowed[0, 0, 3] = True
    value = attention.keys_values(other[0, 3]).chunk(2)[1]
    torch.testing.assert_close(attention(torch.randn(1, 1, 8), other, allowed)[0, 0], attention.out(value))


def test_a_closed_gate_changes_nothing_and_only_gates_get_a_gradient() -> None:
    torch.manual_seed(0)
    block = GatedCrossAttention(8, 6, 2, 4, compress=2)
    x = torch.randn(2, 3, 8)
    found = block(x, torch.randn(2, 4, 6), torch.ones(2, 3, 4, dtype=torch.bool))
    assert torch.equal(found, x)
    (found * torch.randn(2, 3, 8)).sum().backward()
    for name, each in block.named_parameters():
        some = each.grad is not None and bool(each.grad.abs().sum() > 0)
        assert some == name.endswith("gate"), name


def test_the_resampler_gives_as_many_vectors_whatever_the_patches() -> None:
    torch.manual_seed(0)
    resampler = Resampler(6, 3, 2, 2, 4)
    for patches in (1, 7):
        assert resampler(torch.randn(2, patches, 6)).shape == (2, 4, 6)
    patches = torch.randn(1, 7, 6)
    order = torch.randperm(7)
    torch.testing.assert_close(resampler(patches), resampler(patches[:, order]))


def test_pooling_does_not_read_padding() -> None:
    torch.manual_seed(0)
    pooling = TextPooling(8, 2, 4)
    states = torch.randn(1, 5, 8)
    alone = pooling(states[:, :3], torch.ones(1, 3, dtype=torch.bool))
    for real, at in (((1, 1, 1, 0, 0), 0), ((0, 0, 1, 1, 1), 2)):
        placed = torch.randn(1, 5, 8)
        placed[:, at : at + 3] = states[:, :3]
        torch.testing.assert_close(pooling(placed, torch.tensor([real]).bool()), alone)

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nearfar import contrast
from nearfar.losses.captioning import CaptioningLoss, caption_contrast


class Output(NamedTuple):
    logits: Tensor
    texts: Tensor
    images: Tensor
    scale: Tensor


class Fixed(nn.Module):
    """Gives the same output whatever it gets."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output

    def forward(self, **_: Any) -> Output:
        return self.output


def unit(n: int, d: int) -> Tensor:
    return F.normalize(torch.randn(n, d, dtype=torch.float64), dim=1)


def batch(pair: list[bool], labels: Tensor, tokens: Tensor | None = None) -> dict[str, Any]:
    tokens = torch.arange(len(pair))[:, None] if tokens is None else tokens
    known = {"input_ids": tokens, "attention_mask": None, "places": None, "images": None}
    return {**known, "labels": labels, "pair": torch.tensor(pair)}


def test_the_contrast_is_the_mean_of_both_directions() -> None:
    torch.manual_seed(0)
    texts, images, scale = unit(6, 4), unit(6, 4), torch.tensor(0.2).exp().double()
    found = caption_contrast(texts, images, scale, torch.arange(6)[:, None])
    tau = math.exp(-0.2)
    both = (contrast(texts, images, temperature=tau) + contrast(images, texts, temperature=tau)) / 2
    assert float(found) == pytest.approx(float(both), abs=1e-7)
    order = torch.randperm(6)
    again = caption_contrast(texts[order], images[order], scale, order[:, None])
    assert float(again) == pytest.approx(float(found), abs=1e-7)


@pytest.mark.parametrize(("size", "least"), [(96, 3.3551), (192, 4.0422)])
def test_the_least_value_at_the_initial_scale(size: int, least: float) -> None:
    # A simplex: all cosines of different items are -1 / (n - 1).
    simplex = F.normalize(torch.eye(size, dtype=torch.float64) - 1 / size, dim=1)
    scale = torch.tensor(0.2, dtype=torch.float64).exp()
    assert float(scale) == pytest.approx(1.2214, abs=1e-4)
    found = caption_contrast(simplex, simplex, scale, torch.arange(size)[:, None])
    assert float(found) == pytest.approx(least, abs=1e-4)


def test_equal_captions_are_no_negatives() -> None:
    torch.manual_seed(0)
    texts, images, scale = unit(3, 4), unit(3, 4), torch.tensor(2.0)
    tokens = torch.tensor([[5, 6], [5, 6], [7, 0]])
    found = float(caption_contrast(texts, images, scale, tokens))
    similar = (2 * texts @ images.T).double()
    similar[0, 1] = similar[1, 0] = -math.inf
    expected = (F.cross_entropy(similar, torch.arange(3)) + F.cross_entropy(similar.T, torch.arange(3))) / 2
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_a_document_of_several_images_has_no_contrast() -> None:
    torch.manual_seed(0)
    output = Output(
        torch.randn(4, 3, 5, requires_grad=True),
        unit(4, 4).float().requires_grad_(),
        unit(4, 4).float().requires_grad_(),
        torch.tensor(1.2, requires_grad=True),
    )
    labels = torch.tensor([[-100, 1, 2], [-100, 3, -100], [-100, 1, 1], [-100, -100, 4]])
    alone = CaptioningLoss(1.0)(Fixed(output), batch([False] * 4, labels))
    expected = F.cross_entropy(output.logits[:, :-1].reshape(-1, 5), labels[:, 1:].reshape(-1))
    torch.testing.assert_close(alone, expected)
    alone.backward()
    for vectors in (output.texts, output.images):
        assert vectors.grad is not None
        assert not vectors.grad.any()
    two = CaptioningLoss(0.5)(Fixed(output), batch([True, False, True, False], labels))
    chosen = torch.tensor([0, 2])
    added = caption_contrast(output.texts[chosen], output.images[chosen], output.scale, chosen[:, None])
    torch.testing.assert_close(two, expected + 0.5 * added)


def test_a_single_pair_has_nothing_to_be_told_from() -> None:
    torch.manual_seed(0)
    output = Output(torch.randn(2, 3, 5), unit(2, 4), unit(2, 4), torch.tensor(1.2))
    labels = torch.tensor([[-100, 1, 2], [-100, 3, -100]])
    found = [CaptioningLoss(1.0)(Fixed(output), batch(pair, labels)) for pair in ([True, False], [False, False])]
    torch.testing.assert_close(*found)

"""Laws in blocks are the same as laws as one matrix."""

from __future__ import annotations

import pytest
import torch

from nearfar.errors import InputError
from nearfar.theory import Laws, laws


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "_NUMBERS", 20)
    monkeypatch.setattr(laws, "_KEPT", 20)


@pytest.mark.usefixtures("small_blocks")
def test_blocks_equal_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    states, head, bias = (torch.randn(*shape, generator=generator) for shape in ((4, 3), (23, 3), (23,)))
    found = Laws.of_head(states, head, bias)
    p = (states @ head.T + bias).softmax(1)
    tokens = torch.tensor([0, 22, 7, 7])
    assert max(block.numel() for _, block in found.blocks()) <= 20
    torch.testing.assert_close(torch.cat([block for _, block in found.blocks()], 1), p)
    torch.testing.assert_close(found.mean(), p.double().mean(0), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found.entropies(), torch.special.entr(p).sum(1).double(), rtol=1e-5, atol=1e-6)
    log_p = p.log().gather(1, tokens[:, None]).flatten().double()
    torch.testing.assert_close(found.log_probability(tokens), log_p, rtol=1e-5, atol=1e-6)
    columns = torch.tensor([21, 0, 5])
    torch.testing.assert_close(found.matrix(columns), p[:, columns])


def test_half_precision_is_computed_in_single() -> None:
    states, head = torch.randn(2, 3).bfloat16(), torch.randn(5, 3).bfloat16()
    (_, block), *_ = Laws.of_head(states, head).blocks()
    assert block.dtype == torch.float32
    assert block.sum(1).tolist() == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("p", [torch.ones(2, 3), torch.tensor([[1.5, -0.5]]), torch.tensor([1.0]), torch.tensor([[1]])])
def test_no_distributions_are_refused(p: torch.Tensor) -> None:
    with pytest.raises(InputError, match="p: "):
        Laws.of(p)


def test_widths_must_match() -> None:
    with pytest.raises(InputError, match="states"):
        Laws.of_head(torch.zeros(2, 3), torch.zeros(5, 4))

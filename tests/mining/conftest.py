"""A small corpus with duplicates."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def corpus() -> tuple[list[str], torch.Tensor]:
    """Twelve sentences in three directions, then duplicates of some that differ in case and spaces."""
    words = ["cat", "dog", "fish"], ["red", "blue", "green", "white"]
    texts = [f"the {colour} {animal}" for animal in words[0] for colour in words[1]]
    vectors = torch.eye(3, 6).repeat_interleave(4, 0) + 0.4 * torch.randn(
        12, 6, generator=torch.Generator().manual_seed(1)
    )
    again = [0, 5, 5]
    return texts + [f"The  {texts[i][4:].upper()}" for i in again], torch.cat([vectors, vectors[again]])

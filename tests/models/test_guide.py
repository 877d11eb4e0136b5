"""A frozen second model that looks at the same texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.models.guide import Guide

TEXTS = ["the cat sits on the mat", "a dog"]


@pytest.fixture
def model(tiny_model_folder: Path) -> Any:
    return load(tiny_model_folder, device="cpu")


def looked(guide: Guide, model: Any) -> list[list[float]]:
    (found,) = guide([model.preprocess(TEXTS)])
    assert not found.requires_grad
    return torch.nn.functional.normalize(found, dim=1).tolist()


def expected(model: Any) -> list[Any]:
    return [pytest.approx(row, abs=1e-5) for row in encode(model, TEXTS).tolist()]


def test_the_guide_is_frozen_and_gives_its_own_vectors(model: Any, tiny_model_folder: Path) -> None:
    other = load(tiny_model_folder, device="cpu").train()
    with torch.no_grad():
        for weights in other.parameters():
            weights.mul_(0.5)
    guide = Guide(other, model)
    assert guide.same_tokens
    assert not other.training
    assert not any(weights.requires_grad for weights in other.parameters())
    assert looked(guide, model) == expected(other)
    assert looked(guide, model) != expected(model)


def test_other_vocabularies_read_the_text_again(model: Any, tiny_model_folder: Path) -> None:
    other = load(tiny_model_folder, device="cpu")
    other.tokenizer.add_tokens(["zebra"])
    guide = Guide(other, model)
    assert not guide.same_tokens
    assert looked(guide, model) == expected(other)
    # One that reads less cannot take what the other cut.
    short = load(tiny_model_folder, device="cpu")
    short.max_seq_length = 8
    assert not Guide(short, model).same_tokens


def test_a_model_is_no_guide_of_its_own(model: Any) -> None:
    with pytest.raises(ValueError, match="guide"):
        Guide(model, model)

"""Nucleus sampling: which tokens remain, and what settings it accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nearfar.decoding.methods.nucleus import METHOD, Options
from nearfar.errors import InputError
from nearfar.models.language import load_language_model


def test_samples_come_from_the_most_probable_tokens(tiny_lm_folder: Path) -> None:
    model, tokenizer = load_language_model(tiny_lm_folder, "cpu")
    ids = torch.tensor([tokenizer.encode("the cat")])
    with torch.no_grad():
        probabilities, order = model(input_ids=ids).logits[0, -1].softmax(0).sort(descending=True)
    before = probabilities.cumsum(0) - probabilities
    nucleus = set(order[before < 0.5].tolist())
    assert 1 < len(nucleus) < 100
    torch.manual_seed(0)
    arguments = METHOD.arguments(model, Options(top_p=0.5))
    found = model.generate(ids.expand(500, -1), max_new_tokens=1, pad_token_id=0, **arguments)[:, -1]
    assert set(found.tolist()) <= nucleus
    assert len(set(found.tolist())) > 1
    assert METHOD.random


def test_nothing_else_limits_the_tokens() -> None:
    assert METHOD.arguments(None, Options(0.9, 0.7)) == {
        "do_sample": True,
        "top_k": 0,
        "top_p": 0.9,
        "temperature": 0.7,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_p", 0.0), ("top_p", 1.1), ("top_p", float("nan")), ("temperature", 0.0), ("temperature", float("inf"))],
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{name}: .* {value}"):
        Options(**{name: value})
    Options(top_p=1.0)

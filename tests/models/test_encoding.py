"""Vectors of texts in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.encoding import encode

# Lengths rise and fall, so that sorting by length and forgetting to undo it cannot pass unseen.
TEXTS = [" ".join(["cat", "dog", "bird"][i % 3] for _ in range(1 + i * 7 % 13)) + f" {i % 10}" for i in range(150)]


def test_max_length_and_normalize(tiny_model):
    cut = encode(tiny_model, ["the cat sits on the mat"], max_length=4, normalize=False)
    np.testing.assert_allclose(cut, encode(tiny_model, ["the cat"], normalize=False), atol=1e-6)
    assert abs(np.linalg.norm(cut) - 1) > 1e-3
    np.testing.assert_allclose(np.linalg.norm(encode(tiny_model, TEXTS), axis=1), 1, rtol=1e-5)
    assert tiny_model.max_seq_length == 64


def test_queries_and_documents_get_their_prompts(tiny_model_folder: Path):
    model = load(tiny_model_folder, device="cpu")
    model.prompts.update(query="the song ", document="the bank ")
    np.testing.assert_allclose(encode(model, ["cat"], kind="query"), encode(model, ["the song cat"]), atol=1e-6)
    np.testing.assert_allclose(encode(model, ["cat"], kind="document"), encode(model, ["the bank cat"]), atol=1e-6)


def test_a_diverged_model_is_named(tiny_model_folder: Path):
    model = load(tiny_model_folder, device="cpu")
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match=r"^model: .*\b2 of 2\b"):
        encode(model, ["the cat", "the dog"])

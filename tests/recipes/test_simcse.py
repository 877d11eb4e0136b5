"""SimCSE: a sentence is its own positive, and only dropout makes the views differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from nearfar.recipes.simcse import Options, prepare

ROWS = Dataset.from_dict({"text": ["the cat", "a dog runs", "red"]})


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_two_views_of_each_sentence(dropout: float, tiny_model_folder: Path) -> None:
    model = SentenceTransformer(str(tiny_model_folder), device="cpu").train()
    plan = prepare(model, ROWS, Options(dropout=dropout, temperature=0.1))
    (stage,) = plan.stages
    assert stage.rows["anchor"][:] == stage.rows["positive"][:] == ROWS["text"][:]
    torch.manual_seed(0)
    found = stage.loss([model.preprocess(ROWS["text"][:]) for _ in range(2)], None)
    z = torch.from_numpy(model.encode(ROWS["text"][:], normalize_embeddings=True))  # without dropout
    identical = torch.nn.functional.cross_entropy(z @ z.T / 0.1, torch.arange(3))
    assert torch.isclose(found, identical, atol=1e-5) == (dropout == 0)

"""The pooling of a model, and pooling the same tokens in another way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from nearfar.errors import InputError
from nearfar.models.pooling import pooling_of, set_pooling

TEXTS = ["the cat sits", "a dog runs on the grass near the house", "blue"]


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_model_folder), device="cpu").eval()


@pytest.mark.parametrize(
    ("mode", "pooled"),
    [
        ("own", lambda hidden: hidden.mean(0)),
        ("mean", lambda hidden: hidden.mean(0)),
        ("cls", lambda hidden: hidden[0]),
        ("max", lambda hidden: hidden.max(0).values),
    ],
)
def test_tokens_are_pooled_as_named_and_not_scaled(model: SentenceTransformer, mode, pooled) -> None:
    model.append(Normalize())
    pooling, own = pooling_of(model, mode), model[1]
    assert (pooling is own) == (mode == "own")
    with torch.no_grad():
        hidden = model[0](model.preprocess(TEXTS[:1]))
        found = pooling(dict(hidden))["sentence_embedding"][0]
    torch.testing.assert_close(found, pooled(hidden["token_embeddings"][0]))
    assert model[1] is own


@pytest.mark.parametrize("mode", ["cls", "mean", "max"])
def test_what_is_encoded_ignores_the_pooler(model: SentenceTransformer, mode, tmp_path: Path) -> None:
    set_pooling(model, mode)
    before = model.encode(TEXTS)
    with torch.no_grad():
        model[0].auto_model.pooler.dense.weight.add_(1)
    assert (model.encode(TEXTS) == before).all()
    model.save_pretrained(str(tmp_path))
    assert SentenceTransformer(str(tmp_path), device="cpu")[1].pooling_mode == mode


def test_a_model_of_other_modules_is_refused(model: SentenceTransformer) -> None:
    for modules, named in (
        ([*model, Dense(32, 8)], "Dense"),
        ([model[0], Normalize()], "Normalize"),
        ([model[0]], "Transformer"),
    ):
        with pytest.raises(InputError, match=rf"^--model: .*{named}"):
            pooling_of(SentenceTransformer(modules=modules, device="cpu"))

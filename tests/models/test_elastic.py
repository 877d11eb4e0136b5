"""Encoders inside an encoder: cut, saved, loaded, and seen in one forward pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from deep_models import KINDS, saved
from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.elastic import LayerViews, depth, truncated, width

TEXTS = ["the cat sits on the mat", "a dog runs", "rain and snow in the warm wind today and tomorrow"]


@pytest.fixture(scope="module")
def folders(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: saved(kind, tiny_model_folder, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def unit_folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved("bert", tiny_model_folder, tmp_path_factory.mktemp("unit"), normalize=True)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def parameters(model: SentenceTransformer) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_cut_model_saves_and_loads_as_any_other(kind, folders, tmp_path) -> None:
    whole = load(folders[kind], device="cpu")
    cut = load(folders[kind], device="cpu", layers=2, dims=8)
    assert (depth(whole), depth(cut), width(cut)) == (4, 2, 32)
    assert cut.get_embedding_dimension() == 8
    assert parameters(cut) < parameters(whole)
    vectors = cut.encode(TEXTS)
    assert vectors.shape == (3, 8)
    assert np.abs(unit(vectors) - unit(whole.encode(TEXTS)[:, :8])).max() > 1e-2, "the layers above change nothing"
    cut.save_pretrained(str(tmp_path / "cut"))
    again = SentenceTransformer(str(tmp_path / "cut"), device="cpu")
    np.testing.assert_array_equal(again.encode(TEXTS), vectors)
    assert parameters(again) == parameters(cut)


def test_the_layers_above_do_not_run(folders, monkeypatch) -> None:
    whole = load(folders["bert"], device="cpu")
    ran: list[int] = []
    for number, block in enumerate(whole[0].model.encoder.layer, start=1):
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    truncated(whole, 3).encode(TEXTS)
    assert ran == [1, 2, 3]
    ran.clear()
    whole.encode(TEXTS)
    assert ran == [1, 2, 3, 4], "cutting must leave the model as it was"


def test_a_cut_model_shares_its_weights(folders) -> None:
    whole = load(folders["bert"], device="cpu")
    cut = truncated(whole, 2)
    before = cut.encode(TEXTS)
    with torch.no_grad():
        whole[0].model.embeddings.word_embeddings.weight.mul_(-1)
    assert not np.allclose(cut.encode(TEXTS), before)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_hidden_state_of_bert_is_the_last_of_the_cut_model(folders, layers) -> None:
    whole = load(folders["bert"], device="cpu")
    features = whole.preprocess(TEXTS)
    with torch.no_grad():
        hidden = whole[0].model(**features, output_hidden_states=True).hidden_states[layers]
        last = truncated(whole, layers)[0].model(**features).last_hidden_state
    assert (hidden - last).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["modernbert", "llama"])
def test_hidden_state_of_a_model_with_a_final_norm_is_not(kind, folders) -> None:
    whole = load(folders[kind], device="cpu")
    features = whole.preprocess(TEXTS)
    features.pop("token_type_ids", None)
    with torch.no_grad():
        hidden = whole[0].model(**features, output_hidden_states=True).hidden_states[2]
        last = truncated(whole, 2)[0].model(**features).last_hidden_state
    assert (hidden - last).abs().max() > 0.1


@pytest.mark.parametrize("kind", list(KINDS))
def test_views_of_one_pass_are_the_vectors_of_cut_models(kind, folders) -> None:
    whole = load(folders[kind], device="cpu")
    views = LayerViews(whole)
    assert (views.norm is None) == (kind == "bert")
    with torch.no_grad():
        found = views.at(whole, [1, 2, 3, 4])(whole.preprocess(TEXTS))["sentence_embedding"].numpy()
    assert found.shape == (3, 4, 32)
    for row, layers in enumerate([1, 2, 3, 4]):
        np.testing.assert_allclose(found[:, row], truncated(whole, layers).encode(TEXTS), atol=1e-4, rtol=1e-4)
    assert not whole[0].model.config.output_hidden_states


def test_views_come_before_a_closing_normalize(unit_folder) -> None:
    model = load(unit_folder, device="cpu").train()
    with torch.no_grad():
        found = LayerViews(model).at(model, [2, 4])(model.preprocess(TEXTS))["sentence_embedding"]
    assert model.training
    assert (found.norm(dim=-1) - 1).abs().min() > 0.1
    np.testing.assert_allclose(unit(found[:, 1].numpy()), model.encode(TEXTS), atol=1e-5)


def test_a_norm_among_the_layers_that_is_no_final_norm_is_not_applied(folders) -> None:
    model = load(folders["bert"], device="cpu")
    # As in DeBERTa, whose encoder keeps a norm for its relative positions beside its layers.
    model[0].model.encoder.LayerNorm = torch.nn.LayerNorm(32)
    assert LayerViews(model).norm is None


def test_hidden_states_that_are_no_views_are_refused(folders) -> None:
    model = load(folders["modernbert"], device="cpu")
    backbone = model[0].model
    # A final norm that cannot be told from any other module.
    backbone.final_norm = torch.nn.Sequential(backbone.final_norm)
    with pytest.raises(InputError, match=r"^model: .*ModernBertModel"):
        LayerViews(model)


@pytest.mark.parametrize("normalize_embeddings", [False, True])
def test_narrow_vectors_are_prefixes_of_wide_ones(unit_folder, normalize_embeddings) -> None:
    how = {"normalize_embeddings": normalize_embeddings}
    wide, narrow = (load(unit_folder, device="cpu", dims=dims).encode(TEXTS, **how) for dims in (16, 8))
    assert narrow.shape == (3, 8)
    np.testing.assert_allclose(unit(wide[:, :8]), unit(narrow), atol=1e-6)
    assert (np.abs(np.linalg.norm(narrow, axis=1) - 1) < 1e-6).all() == normalize_embeddings


def test_a_dot_product_of_unit_vectors_stays_a_cosine(unit_folder, tmp_path) -> None:
    model = load(unit_folder, device="cpu")
    model.similarity_fn_name = "dot"
    cut = truncated(model, dims=8)
    vectors = cut.encode(TEXTS)
    np.testing.assert_allclose(cut.similarity(vectors, vectors).numpy(), unit(vectors) @ unit(vectors).T, atol=1e-6)
    assert model.similarity_fn_name == "dot"


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"layers": 0}, "layers: invalid value 0: the model has 4; use 1 to 4"),
        ({"layers": 5}, "layers: invalid value 5: the model has 4"),
        ({"dims": 33}, "dims: invalid value 33: the model has 32; use 1 to 32"),
        ({"dims": 0}, "dims: invalid value 0: the model has 32"),
    ],
)
def test_a_size_that_the_model_does_not_have(folders, size, message) -> None:
    with pytest.raises(InputError, match=message):
        load(folders["bert"], device="cpu", **size)


def test_a_model_without_layers(folders) -> None:
    words = load(folders["bert"], device="cpu").tokenizer.backend_tokenizer
    static = SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=16)], device="cpu")
    assert truncated(static, dims=4).encode(TEXTS).shape == (3, 4)
    with pytest.raises(InputError, match=r"^layers: StaticEmbedding"):
        truncated(static, layers=1)

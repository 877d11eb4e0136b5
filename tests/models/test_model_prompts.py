"""What a model puts before queries, documents and other texts when they are encoded."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.kinds.loading import load_kind
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.models.encoding_files import encode_file
from nearfar.models.prompts import prompt_of, prompts_of, quoted, without_prompts

TEXTS = ["the cat sits", "a loan", "rain today"]


def test_vectors_are_those_of_sentence_transformers(prompted_folder: Path):
    theirs, ours = SentenceTransformer(str(prompted_folder), device="cpu"), load(prompted_folder, device="cpu")
    of_queries = encode(ours, TEXTS, kind="query", normalize=False)
    np.testing.assert_array_equal(of_queries, theirs.encode_query(TEXTS))
    np.testing.assert_array_equal(encode(ours, TEXTS, kind="document", normalize=False), theirs.encode_document(TEXTS))
    np.testing.assert_array_equal(encode(ours, TEXTS, normalize=False), theirs.encode(TEXTS))
    again = encode(ours, TEXTS, prompt="the song ", normalize=False)
    np.testing.assert_allclose(again, of_queries, atol=1e-6)
    assert prompts_of(ours) == {"query": "the song ", "document": "a bank "}
    assert quoted(prompts_of(ours)) == "query 'the song ', document 'a bank '"


def test_without_prompts_for_a_while(prompted_folder: Path, tiny_model):
    model = load(prompted_folder, device="cpu")
    model.default_prompt_name = "query"
    assert prompt_of(model, None) == "the song "
    with without_prompts(model):
        assert prompts_of(model) == {}
        np.testing.assert_allclose(encode(model, TEXTS, kind="query"), encode(tiny_model, TEXTS), atol=1e-6)
    assert prompts_of(model) == {"query": "the song ", "document": "a bank ", "text": "the song "}


def test_a_prompt_that_sentence_transformers_ignores_is_named(
    model_copy: Path, caplog: pytest.LogCaptureFixture, tiny_model
):
    file = model_copy / "config_sentence_transformers.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "prompts": {"query": "q ", "passage": "the sea "}}))
    model = load(model_copy, device="cpu")
    with caplog.at_level(logging.WARNING, "nearfar"):
        used = prompt_of(model, "document")
    theirs = SentenceTransformer(str(model_copy), device="cpu").encode_document(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encode(tiny_model, [used + text for text in TEXTS]), theirs, atol=1e-6)
    assert bool(caplog.records) == (used == "")


def test_a_file_of_vectors_says_which_prompt_its_texts_have(prompted_folder: Path, tmp_path: Path):
    model = load(prompted_folder, device="cpu")
    encode_file(model, TEXTS, tmp_path / "v.parquet", kind="document")
    encode_file(model, TEXTS, tmp_path / "w.parquet", prompt="the sea ", normalize=False)
    found = [json.loads(pq.read_schema(tmp_path / name).metadata[b"nearfar"]) for name in ("v.parquet", "w.parquet")]
    assert found == [
        {"normalize": True, "as": "document", "prompt": "a bank "},
        {"normalize": False, "as": None, "prompt": "the sea "},
    ]


def test_relevance_is_scored_with_the_prompt_of_each_side(prompted_folder: Path):
    encoder = load_kind(prompted_folder, device="cpu")
    model, documents = encoder.host, TEXTS[::-1]
    right = (model.encode_query(TEXTS, normalize_embeddings=True) * encode(model, documents, kind="document")).sum(1)
    np.testing.assert_allclose(encoder.score_relevance(TEXTS, documents), right, atol=1e-5)
    np.testing.assert_allclose(np.diag(encoder.score_matrix(TEXTS, documents)), right, atol=1e-5)
    plain = (encode(model, TEXTS) * encode(model, documents)).sum(1)
    np.testing.assert_allclose(encoder.score_pairs(TEXTS, documents), plain, atol=1e-5)


def test_a_model_without_prompts_has_none_and_refuses_one():
    class Other:
        pass

    assert prompts_of(Other()) == {}
    from nearfar.models.abilities import Encodes

    class Own(Encodes):
        def encode(self, texts, *, batch_size=64, kind=None):
            return np.ones((len(texts), 2), np.float32)

    with pytest.raises(InputError, match=r"^prompt: "):
        encode(Own(), TEXTS, prompt="a ")

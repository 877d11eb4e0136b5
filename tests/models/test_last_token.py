"""Causal language models as text encoders: the end token, padding, what is saved, and training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from tokenizers import processors

import nearfar
from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.encoding import encode
from nearfar.models.last_token import append_end
from nearfar.models.pooling import set_pooling

TEXTS = ["a", "the cat and the dog", "money"]


@pytest.fixture
def embedder(tiny_lm_folder: Path) -> SentenceTransformer:
    return load(tiny_lm_folder, device="cpu")


def test_every_text_ends_with_the_end_token_also_a_truncated_one(embedder: SentenceTransformer) -> None:
    end = embedder.tokenizer.eos_token_id
    assert embedder[1].pooling_mode == "lasttoken"
    assert [ids[-1] for ids in embedder.tokenizer(TEXTS)["input_ids"]] == [end] * 3
    embedder.max_seq_length = 4
    batch = embedder.preprocess(TEXTS)
    assert batch["attention_mask"].sum(1).tolist() == [2, 4, 4]
    assert batch["input_ids"][1, 3] == end


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_no_vector(side: str, embedder: SentenceTransformer) -> None:
    embedder.tokenizer.padding_side = side
    alone = np.concatenate([embedder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(embedder.encode(TEXTS), alone, atol=1e-4)
    np.testing.assert_allclose(encode(embedder, TEXTS), alone / np.linalg.norm(alone, axis=1, keepdims=True), atol=1e-4)


def test_the_saved_folder_encodes_equally_without_nearfar(embedder: SentenceTransformer, tmp_path: Path) -> None:
    expected = embedder.encode(TEXTS)
    embedder.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    for again in (SentenceTransformer(str(tmp_path / "saved"), device="cpu"), load(tmp_path / "saved", device="cpu")):
        np.testing.assert_allclose(again.encode(TEXTS), expected, atol=1e-5)


def test_a_model_with_a_template_for_chats_reads_the_text_alone(
    embedder: SentenceTransformer, tiny_lm_folder: Path, tmp_path: Path
) -> None:
    expected = embedder.encode(TEXTS)
    folder = tmp_path / "chat"
    shutil.copytree(tiny_lm_folder, folder)
    template = "{% for message in messages %}the cat {{ message['content'] }}{% endfor %}"
    folder.joinpath("chat_template.jinja").write_text(template, "utf-8")
    assert "message" in SentenceTransformer(str(folder), device="cpu")[0].modality_config
    found = load(folder, device="cpu")
    np.testing.assert_allclose(found.encode(TEXTS), expected, atol=1e-6)
    found.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), expected, atol=1e-5)


def test_a_token_that_the_tokenizer_puts_first_stays(embedder: SentenceTransformer, tiny_lm_folder: Path) -> None:
    tokenizer = embedder.tokenizer
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="a $A", pair="a $A $B", special_tokens=[("a", tokenizer.convert_tokens_to_ids("a"))]
    )
    append_end(tokenizer, tiny_lm_folder)
    assert tokenizer.convert_ids_to_tokens(tokenizer("b")["input_ids"]) == ["a", "b", "<end>"]
    append_end(tokenizer, tiny_lm_folder)  # not twice
    assert len(tokenizer("b")["input_ids"]) == 3
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="end token"):
        append_end(tokenizer, tiny_lm_folder)


def test_a_pooling_that_a_model_has_is_kept_as_it_is(embedder: SentenceTransformer) -> None:
    own = embedder[1]
    set_pooling(embedder, "last")
    assert embedder[1] is own
    set_pooling(embedder, "mean")
    assert embedder[1].pooling_mode == "mean"


def test_it_is_trained_with_an_instruction_for_queries_and_a_lora(tiny_lm_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    rows = Dataset.from_dict({"anchor": [f"cat {i}" for i in range(16)], "positive": [f"dog {i}" for i in range(16)]})
    prompts = {"query": "Instruct: find the answer\nQuery: ", "document": ""}
    options = {"prompts": prompts, "lora_rank": 2, "max_steps": 2, "batch_size": 8, "learning_rate": 1e-2}
    run = nearfar.train("infonce", rows, model=tiny_lm_folder, out=tmp_path / "run", evaluation=rows, **options)
    assert run.metrics["prompts"] == {"anchor": prompts["query"]}
    saved = SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")
    for side in ("encode_query", "encode_document"):
        np.testing.assert_allclose(getattr(saved, side)(TEXTS), getattr(run.model, side)(TEXTS), atol=1e-4)
    assert abs(saved.encode_query(TEXTS) - saved.encode(TEXTS)).max() > 1e-3


def test_pooling_is_an_option_of_encoders_only(tiny_lm_folder: Path, tmp_path: Path) -> None:
    rows = Dataset.from_dict({"anchor": [f"cat {i}" for i in range(16)], "positive": [f"dog {i}" for i in range(16)]})
    options = {"max_steps": 1, "batch_size": 8, "pooling": "mean"}
    run = nearfar.train("infonce", rows, model=tiny_lm_folder, out=tmp_path / "run", **options)
    assert SentenceTransformer(str(run.folder / "model"), device="cpu")[1].pooling_mode == "mean"
    with pytest.raises(InputError, match=r"^pooling"):
        nearfar.train("lol", rows, model=tiny_lm_folder, out=tmp_path / "lm", lora_rank=0, **options)


def test_gguf_weights_become_a_plain_folder_once(
    tiny_lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearfar.models import gguf_folders
    from nearfar.models.language import load_language_model

    loaded: list[object] = []

    def load_gguf(name: object, device: str) -> object:
        loaded.append(name)
        return load_language_model(tiny_lm_folder, device)

    monkeypatch.setenv("NEARFAR_CACHE", str(tmp_path))
    monkeypatch.setattr(gguf_folders, "is_gguf", lambda name: name == "small")
    monkeypatch.setattr(gguf_folders, "weights_hash", lambda name: f"hash-of-{name}")
    monkeypatch.setattr(gguf_folders, "load_language_model", load_gguf)
    folder = gguf_folders.plain_folder("small")
    assert gguf_folders.plain_folder("small") == folder
    assert loaded == ["small"]
    np.testing.assert_array_equal(
        load(folder, device="cpu").encode(TEXTS), load(tiny_lm_folder, device="cpu").encode(TEXTS)
    )
    assert gguf_folders.plain_folder(tiny_lm_folder) is tiny_lm_folder

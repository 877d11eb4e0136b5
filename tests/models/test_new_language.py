"""Language models with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from nearfar.errors import InputError
from nearfar.models.new_language import (
    END,
    LlamaShape,
    new_language_model,
    new_language_model_for,
    new_llama,
    new_tokenizer,
    shape_hash,
)

SIZES = {"hidden_size": 16, "layers": 1, "heads": 2, "positions": 8}
TEXTS = Dataset.from_dict({"text": ["the cat sits on the mat"] * 300 + ["naïve 字"]})


def test_the_shape_of_another_with_weights_from_the_seed(tiny_lm_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_lm_folder, tmp_path / "shape"))
    (folder / "model.safetensors").write_bytes(b"not read")
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model, tokenizer = new_language_model(folder)
        models.append(model.get_input_embeddings().weight)
    assert model.config.num_hidden_layers == 2
    assert model.dtype == torch.float32
    assert tokenizer.decode(tokenizer("a cat")["input_ids"]) == "a cat"
    assert torch.equal(models[0], models[1])
    assert not torch.equal(models[0], models[2])


def test_what_is_no_causal_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-family"}')
    with pytest.raises(InputError) as caught:
        new_language_model(tmp_path)
    assert caught.value.file == tmp_path
    assert "\n" not in str(caught.value)


def test_an_encoder_is_no_shape_for_a_language_model(tiny_model_folder: Path) -> None:
    """transformers gives an encoder a head for tokens, but each position sees the token that it should predict."""
    with pytest.raises(InputError, match="expected a causal language model"):
        new_language_model(tiny_model_folder)


def test_the_hash_of_a_shape_ignores_weights(tiny_lm_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_lm_folder, tmp_path / "shape"))
    (folder / "model.safetensors").unlink()
    assert shape_hash(folder) == shape_hash(tiny_lm_folder)
    for name in ("config.json", "tokenizer.json"):
        before = shape_hash(folder)
        (folder / name).write_text((folder / name).read_text() + " ")
        assert shape_hash(folder) != before
    (tmp_path / "a.gguf").write_bytes(b"one")
    (tmp_path / "b.gguf").write_bytes(b"two")
    assert shape_hash(tmp_path / "a.gguf") != shape_hash(tmp_path / "b.gguf")


def test_a_vocabulary_contains_all_bytes() -> None:
    tokenizer = new_tokenizer(Dataset.from_dict({"text": ["abc"]}), 257)
    text = "naïve 字 \u0000 🙂\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    with pytest.raises(InputError, match=r"^vocabulary: .* 256"):
        new_tokenizer(Dataset.from_dict({"text": ["abc"]}), 256)


def test_frequent_words_become_tokens_and_one_token_ends_a_text() -> None:
    tokenizer = new_tokenizer(TEXTS, 270)
    assert 257 < len(tokenizer) <= 270
    assert len(tokenizer("the cat")["input_ids"]) < len("the cat")
    assert tokenizer.eos_token == tokenizer.bos_token == tokenizer.pad_token == END
    assert tokenizer.eos_token_id == 0


@pytest.mark.parametrize(("hidden", "inner"), [(16, 48), (64, 176), (384, 1024)])
def test_the_width_of_the_mlp_is_a_multiple_of_8(hidden: int, inner: int) -> None:
    with torch.device("meta"):
        config = new_llama(300, **{**SIZES, "hidden_size": hidden}).config
    assert (config.intermediate_size, config.tie_word_embeddings) == (inner, True)
    assert (config.eos_token_id, config.bos_token_id, config.pad_token_id) == (0, 0, None)
    assert new_llama(300, **SIZES, intermediate_size=24).config.intermediate_size == 24


@pytest.mark.parametrize(("hidden", "heads", "least"), [(18, 2, 20), (10, 4, 16)])
def test_heads_need_an_even_share_of_the_width(hidden: int, heads: int, least: int) -> None:
    with pytest.raises(InputError, match=rf"^hidden_size: .* {hidden}\b.*{least}$"):
        new_llama(300, hidden_size=hidden, layers=1, heads=heads, positions=8)


def test_a_model_for_documents_has_their_vocabulary() -> None:
    model, tokenizer = new_language_model_for(
        TEXTS, None, 5_000, LlamaShape(hidden_size=16, layers=1, heads=2, positions=8)
    )
    assert model.config.vocab_size == len(tokenizer) < 5_000
    assert model(input_ids=torch.tensor([[0, 5]])).logits.shape == (1, 2, len(tokenizer))

"""Loading a sequence-to-sequence model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5ForConditionalGeneration

from nearfar.errors import InputError
from nearfar.models.seq2seq import load_seq2seq_model
from word_level import write_seq2seq


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_seq2seq(tmp_path / "t5")


def test_model_and_tokenizer_in_evaluation_mode(folder: Path) -> None:
    model, tokenizer = load_seq2seq_model(folder, device="cpu")
    assert not model.training
    features = tokenizer(["the cat"], return_tensors="pt")
    inputs = {name: features[name] for name in ("input_ids", "attention_mask")}
    theirs = T5ForConditionalGeneration.from_pretrained(folder).eval()
    labels = torch.tensor([[5, 1]])
    torch.testing.assert_close(model(**inputs, labels=labels).loss, theirs(**inputs, labels=labels).loss)


def test_weights_that_are_missing_or_no_numbers_are_named(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "decoder.block.0.layer.0.SelfAttention.q.weight"
    for damaged in (
        {key: value for key, value in weights.items() if key != name},
        {**weights, name: torch.full_like(weights[name], torch.nan)},
    ):
        save_file(damaged, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            load_seq2seq_model(folder, device="cpu")


def test_other_kinds_and_pickled_weights_are_refused(folder: Path, tiny_lm_folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_seq2seq_model(tiny_lm_folder, device="cpu")
    assert caught.value.file == tiny_lm_folder
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        load_seq2seq_model(folder, device="cpu")

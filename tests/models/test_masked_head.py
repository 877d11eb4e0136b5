"""The head of masked language modelling of usual encoders: in the checkpoint, tied to the encoder, or missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from families import saved
from transformers import AutoModelForMaskedLM

from nearfar.models import load
from nearfar.models.masked_head import masked_head

FAMILIES = ("bert", "roberta", "mpnet", "albert", "deberta", "distilbert", "modernbert")


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_the_whole_model(family: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    folder, _ = saved(family, tiny_model_folder, tmp_path / family)
    model = load(folder, device="cpu")
    head = masked_head(model)
    assert head is not None
    features: Any = model.preprocess(["the cat sits on the mat"])
    text = {name: features[name] for name in ("input_ids", "attention_mask")}
    whole: Any = AutoModelForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        states = model(dict(text))["token_embeddings"][0]
        torch.testing.assert_close(head.eval()(states), whole(**text).logits[0])
    tied = head.head.get_output_embeddings().weight is model[0].auto_model.get_input_embeddings().weight
    assert tied == bool(whole.config.tie_word_embeddings)


def test_loading_a_head_draws_no_random_numbers(tiny_model_folder: Path, tmp_path: Path) -> None:
    model = load(saved("bert", tiny_model_folder, tmp_path / "bert")[0], device="cpu")
    before = torch.get_rng_state()
    assert masked_head(model) is not None
    assert torch.equal(torch.get_rng_state(), before)


def test_an_encoder_without_one(tiny_model_folder: Path, tmp_path: Path) -> None:
    assert masked_head(load(tiny_model_folder, device="cpu")) is None
    assert masked_head(load(saved("t5", tiny_model_folder, tmp_path / "t5")[0], device="cpu")) is None

"""Loading a cross-encoder: which folders become one, and how."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers.utils import logging as library

from nearfar.errors import InputError
from nearfar.models.cross_encoder import load_cross_encoder, without_library_notes
from word_level import word_tokenizer, write_causal, write_seq2seq

PAIRS = [("the cat", "a cat"), ("blue sky", "the sea")]


def test_an_encoder_gets_a_new_classifier_and_a_warning(
    plain_model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_cross_encoder(plain_model_folder, device="cpu")
    assert model.predict(PAIRS).shape == (2,)
    assert not model.training
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(plain_model_folder) in caplog.text
    with pytest.raises(InputError) as caught:
        load_cross_encoder(plain_model_folder, device="cpu", new_head=False)
    assert caught.value.file == plain_model_folder


def test_a_trained_one_keeps_its_classifier(
    plain_model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = load_cross_encoder(plain_model_folder, device="cpu")
    first.save_pretrained(str(tmp_path))
    caplog.clear()
    again = load_cross_encoder(tmp_path, device="cpu", new_head=False)
    np.testing.assert_allclose(again.predict(PAIRS), first.predict(PAIRS), atol=1e-6)
    assert not caplog.records


def test_a_causal_model_answers_yes_or_no(tmp_path: Path) -> None:
    model = load_cross_encoder(write_causal(tmp_path), device="cpu")
    (row,) = model.predict(PAIRS[:1], activation_fn=torch.nn.Identity()).reshape(1, -1)
    features = model.preprocess(PAIRS[:1])
    with torch.no_grad():
        logits = (
            model[0].model(input_ids=features["input_ids"], attention_mask=features["attention_mask"]).logits[0, -1]
        )
    yes, no = model.tokenizer.convert_tokens_to_ids(["yes", "no"])
    assert row[0] == pytest.approx(float(logits[yes] - logits[no]), abs=1e-5)


@pytest.mark.parametrize("answers", [("yes",), ()])
def test_a_vocabulary_without_yes_and_no_is_refused(answers: tuple[str, ...], tmp_path: Path) -> None:
    folder = write_causal(tmp_path, word_tokenizer(answers))
    with pytest.raises(InputError) as caught:
        load_cross_encoder(folder, device="cpu")
    assert caught.value.file == folder


def test_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_cross_encoder(write_seq2seq(tmp_path), device="cpu")
    assert caught.value.file == tmp_path


def test_settings_of_the_library_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library._get_library_root_logger(), "level", logging.INFO)
    before = library.get_verbosity(), library.is_progress_bar_enabled()
    for _ in range(2):
        with without_library_notes():
            assert library.get_verbosity() == logging.ERROR
            assert not library.is_progress_bar_enabled()
        assert (library.get_verbosity(), library.is_progress_bar_enabled()) == before

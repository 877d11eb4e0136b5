"""The files of a saved model, as servers and older releases read them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from nearfar.kinds.encoder import Encoder
from nearfar.models.fingerprint import fingerprint
from nearfar.models.loading import load
from nearfar.models.older_readers import FLAGS
from nearfar.models.views import one_view, with_views, write_views

TEXTS = ["the cat sits on a mat", "a green bird", "rain today and snow tomorrow " * 20]


def saved(model: SentenceTransformer, folder: Path) -> Path:
    Encoder(model).save(folder)
    return folder


@pytest.mark.parametrize("mode", [*FLAGS, ("cls", "mean")])
def test_both_forms_are_written_and_the_same_model_is_loaded(tiny_model_folder: Path, tmp_path: Path, mode) -> None:
    model = load(tiny_model_folder)
    width = model.get_embedding_dimension()
    assert width is not None
    model[1] = Pooling(width, mode)
    model.append(Normalize())
    folder = saved(model, tmp_path / "model")

    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    modes = (mode,) if isinstance(mode, str) else mode
    assert {name for name, flag in FLAGS.items() if pooling[flag] is True} == set(modes)
    assert pooling.get("pooling_mode", mode) == mode
    assert pooling["word_embedding_dimension"] == width
    assert next(key for key, value in pooling.items() if value is True) in FLAGS.values()
    types = [module["type"] for module in json.loads((folder / "modules.json").read_text())]
    assert types == [f"sentence_transformers.models.{name}" for name in ("Transformer", "Pooling", "Normalize")]
    assert json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"] == model.max_seq_length

    again = SentenceTransformer(str(folder), device="cpu")
    assert fingerprint(again) == fingerprint(model)
    np.testing.assert_array_equal(again.encode(TEXTS), model.encode(TEXTS))


def test_a_saved_model_is_loaded_without_a_warning(tiny_model_folder: Path, tmp_path: Path, caplog) -> None:
    folder = saved(load(tiny_model_folder), tmp_path / "model")
    with caplog.at_level(logging.WARNING):
        SentenceTransformer(str(folder), device="cpu")
    assert not [record for record in caplog.records if "deprecated" in record.getMessage()]


def test_a_model_that_is_saved_again_stays_the_same(tiny_model_folder: Path, tmp_path: Path) -> None:
    first = saved(load(tiny_model_folder), tmp_path / "first")
    second = saved(load(first), tmp_path / "second")
    for name in ("1_Pooling/config.json", "modules.json", "sentence_bert_config.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_each_view_is_readable_by_itself(tiny_model_folder: Path, tmp_path: Path) -> None:
    model = load(tiny_model_folder)
    views = with_views({"common": list(model), "rest": list(model)}, like=model)
    folder = tmp_path / "views"
    folder.mkdir()
    Encoder(views, write_views).save(folder)
    assert json.loads((folder / "rest/1_Pooling/config.json").read_text())["pooling_mode_mean_tokens"] is True
    again = load(folder, view="rest")
    np.testing.assert_array_equal(again.encode(TEXTS), one_view(views, "rest").encode(TEXTS))

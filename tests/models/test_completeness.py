"""Weights that are not in a model's files: refused where a result depends on them, in every usual family."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nearfar.errors import InputError
from nearfar.kinds.loading import load_kind
from nearfar.models import load
from nearfar.models.cross_encoder import load_cross_encoder

sys.path.insert(0, str(Path(__file__).parent))
import families


def drop(folder: Path, *beginnings: str) -> Path:
    """Remove tensors from a folder's weights, by the beginnings of their names."""
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith(beginnings)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def set_config(folder: Path, **values: object) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))
    return folder


@pytest.mark.parametrize("family", families.ENCODERS)
def test_a_usual_family_loads_and_is_refused_without_a_tensor_of_its_last_layer(
    family: str, tiny_model_folder: Path, tmp_path: Path
):
    folder, tensor = families.saved(family, tiny_model_folder, tmp_path)
    assert torch.isfinite(torch.tensor(load(folder, device="cpu").encode(["the cat"]))).all()
    drop(folder, tensor)
    last = tensor.split(".", 1)[1].replace(".", r"\.")
    with pytest.raises(InputError, match=rf"model\.safetensors: .*'\S*{last}'"):
        load(folder, device="cpu")


def test_what_is_tried_is_put_back(tiny_model_folder: Path, tmp_path: Path):
    folder, _ = families.saved("bert", tiny_model_folder, tmp_path)  # has no pooler, which is tried with NaN
    assert not any("pooler" in name for name in load_file(folder / "model.safetensors"))
    assert all(torch.isfinite(value).all() for value in load(folder, device="cpu").state_dict().values())


@pytest.mark.parametrize(
    "part", ["text_projection", "visual_projection", "vision_model.encoder.layers.1", "text_model"]
)
def test_clip_needs_both_towers(part: str, tiny_model_folder: Path, tmp_path: Path):
    folder = families.saved_clip(tiny_model_folder, tmp_path)
    load(drop(folder, "logit_scale"), device="cpu")  # no vector depends on the temperature
    with pytest.raises(InputError, match=f"model.safetensors: .*'{part}"):
        load(drop(folder, part), device="cpu")


@pytest.mark.parametrize(("whole", "place"), [(False, ""), (True, "encoder.")])
def test_whisper_has_its_encoders_weights(whole: bool, place: str, tmp_path: Path):
    # Of a whole Whisper, sentence-transformers 6.2 alone makes an encoder of random numbers.
    folder = families.saved_whisper(tmp_path, whole=whole)
    first: Any = load(folder, device="cpu")[0]
    loaded = first.model.state_dict()
    weights = load_file(folder / "model.safetensors")
    assert len(loaded) > 20
    assert all(torch.equal(value, weights[place + name]) for name, value in loaded.items())
    with pytest.raises(InputError, match=r"model\.safetensors: .*'\S*layers\.1\.fc1\.weight'"):
        load(drop(folder, f"{place}layers.1.fc1.weight"), device="cpu")


def test_more_layers_in_the_configuration_than_in_the_weights(model_copy: Path):
    set_config(model_copy, num_hidden_layers=3)
    with pytest.raises(InputError, match=r"model\.safetensors: .*'encoder\.layer\.2\."):
        load(model_copy, device="cpu")


def test_fewer_layers_in_the_configuration_than_in_the_weights(model_copy: Path, caplog: pytest.LogCaptureFixture):
    set_config(model_copy, num_hidden_layers=1)
    with caplog.at_level(logging.WARNING, "nearfar"):
        load(model_copy, device="cpu")
    assert "'encoder.layer.1.attention.output.LayerNorm.bias', a layer more than config.json says" in caplog.text


def test_tensors_of_another_model(model_copy: Path):
    weights = load_file(model_copy / "model.safetensors")
    renamed = {f"other.{name}": value for name, value in weights.items()}
    save_file(renamed, model_copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"model\.safetensors: .* 'embeddings\."):
        load(model_copy, device="cpu")


def test_a_new_reranker_has_a_new_head_and_nothing_else_new(tiny_model_folder: Path, tmp_path: Path):
    folder, tensor = families.saved("bert", tiny_model_folder, tmp_path)
    shutil.copytree(folder, tmp_path / "whole")
    load_cross_encoder(tmp_path / "whole", device="cpu")  # without a pooler, which is new as the classifier is
    with pytest.raises(InputError, match=r"output\.dense\.weight"):
        load_cross_encoder(drop(folder, tensor), device="cpu")


def test_a_saved_reranker_needs_its_head(tiny_model_folder: Path, tmp_path: Path):
    load_cross_encoder(tiny_model_folder, device="cpu").save_pretrained(str(tmp_path))
    load_cross_encoder(tmp_path, device="cpu")
    with pytest.raises(InputError, match=r"model\.safetensors: .*'classifier\.bias'"):
        load_cross_encoder(drop(tmp_path, "classifier"), device="cpu")


@pytest.mark.parametrize("tensor", ["model.layers.1.mlp.up_proj.weight", "lm_head.weight"])
def test_a_language_model_needs_every_tensor(tensor: str, tiny_lm_folder: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_lm_folder, tmp_path / "lm"))
    load_kind(folder, device="cpu")
    with pytest.raises(InputError, match=rf"lm\S*: .*'{tensor}'") as caught:
        load_kind(drop(folder, tensor), device="cpu")
    assert "\n" not in str(caught.value)


def test_a_language_model_with_more_layers_than_its_configuration(
    tiny_lm_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder = Path(shutil.copytree(tiny_lm_folder, tmp_path / "lm"))
    with caplog.at_level(logging.WARNING, "nearfar"):
        load_kind(set_config(folder, num_hidden_layers=1), device="cpu")
    assert "a layer more than config.json says" in caplog.text


def test_tied_weights_are_no_loss(tiny_lm_folder: Path, tmp_path: Path):
    folder = Path(shutil.copytree(tiny_lm_folder, tmp_path / "lm"))
    load_kind(set_config(drop(folder, "lm_head"), tie_word_embeddings=True), device="cpu")

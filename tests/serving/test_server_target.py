"""What text-embeddings-inference and vLLM require of a folder, and how they would pool it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

from nearfar.errors import InputError
from nearfar.kinds.encoder import Encoder
from nearfar.models.loading import load
from nearfar.serving.server_target import check_tei, check_vllm, load_tei, load_vllm

CHECKS = (check_tei, check_vllm)
TEXTS = ["the cat sits on a mat", "rain", "a green bird flies over the house and the sea " * 20]


def saved(model_folder: Path, folder: Path, mode: Any = "mean", *more: Any) -> Path:
    model = load(model_folder)
    model[1] = Pooling(32, mode)
    for module in more:
        model.append(module)
    Encoder(model).save(folder)
    return folder


def changed(file: Path, **fields: Any) -> None:
    """A JSON file with other fields; None removes one."""
    found = {**json.loads(file.read_text()), **fields}
    file.write_text(json.dumps({name: value for name, value in found.items() if value is not None}))


@pytest.mark.parametrize("mode", ["mean", "cls", "lasttoken"])
def test_both_servers_pool_as_the_model_does(mode: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = saved(tiny_model_folder, tmp_path / "model", mode, Normalize())
    assert {check(folder) for check in CHECKS} == {mode}
    expected = load(folder).encode(TEXTS)
    for read in (load_tei, load_vllm):
        np.testing.assert_allclose(read(folder, 64).encode(TEXTS), expected, atol=1e-5)


def test_what_sentence_transformers_6_writes_is_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    """The reason for `nearfar.models.older_readers`."""
    load(tiny_model_folder).save_pretrained(str(tmp_path / "new"), create_model_card=False)
    for check in CHECKS:
        with pytest.raises(InputError):
            check(tmp_path / "new")


@pytest.mark.parametrize("mode", ["max", "weightedmean", ("cls", "mean")])
def test_other_pooling_is_refused(mode: Any, tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = saved(tiny_model_folder, tmp_path / "model", mode)
    for check in CHECKS:
        with pytest.raises(InputError, match="pooling"):
            check(folder)


def test_further_layers_are_refused(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = saved(tiny_model_folder, tmp_path / "model", "mean", Dense(32, 16))
    for check in CHECKS:
        with pytest.raises(InputError, match="Dense"):
            check(folder)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("config.json", {"architectures": None}),
        ("config.json", {"model_type": None}),
        ("config.json", {"auto_map": {"AutoModel": "own.Own"}}),
        ("config.json", {"max_position_embeddings": None}),
        ("sentence_bert_config.json", {"max_seq_length": None}),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": None}),
        ("config_sentence_transformers.json", {"prompts": {"query": 1}}),
    ],
)
def test_what_tei_requires(name: str, fields: dict[str, Any], tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = saved(tiny_model_folder, tmp_path / "model")
    changed(folder / name, **fields)
    with pytest.raises(InputError, match=name):
        check_tei(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_files_that_both_require(name: str, tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = saved(tiny_model_folder, tmp_path / "model")
    (folder / name).unlink()
    for check in CHECKS:
        with pytest.raises(InputError, match=name):
            check(folder)

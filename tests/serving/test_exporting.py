"""Exports give the vectors of the original, or are not kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

import nearfar
from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.kinds.encoder import Encoder
from nearfar.models.loading import load
from nearfar.models.sums import changes
from nearfar.serving import TooDifferent
from nearfar.serving.exporting import TARGETS, export
from nearfar.serving.onnx_target import load as load_onnx

TEXTS = ["the cat sits on a mat", "rain", "a green bird flies over the house and the sea " * 20]


@pytest.fixture(scope="module")
def wide(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder with all that can follow a transformer, prompts, and truncated vectors."""
    model = load(tiny_model_folder)
    model[1] = Pooling(32, "lasttoken")
    model.append(Dense(32, 16))
    model.append(Normalize())
    model.prompts = {"query": "find: ", "document": ""}
    model.truncate_dim = 12
    folder = tmp_path_factory.mktemp("wide") / "model"
    Encoder(model).save(folder)
    return folder


def test_onnx_gives_the_vectors_of_the_whole_model(wide: Path, pairs: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = tmp_path / "onnx"
    made = export(wide, "onnx", out, data=str(pairs))
    assert made.passed
    assert (made.measure, made.texts) == ("vectors", 56)
    assert made.after.primary == "ndcg@10"
    original, served = load(wide), load_onnx(out, 64)
    for name in ("encode", "encode_query"):
        np.testing.assert_allclose(getattr(served, name)(TEXTS), getattr(original, name)(TEXTS), atol=1e-5)
    figures = json.loads((out / "export.json").read_text())
    assert figures["passed"] is True
    assert figures["difference"]["greatest"] == made.difference
    assert str(wide) not in (out / "export.json").read_text()
    assert not changes(out)[1]
    assert nearfar.verify(out).equal
    assert not list(out.glob("*.safetensors"))


def test_the_reader_of_the_documentation_gives_the_same_vectors(
    tiny_model_folder: Path, pairs: Path, tmp_path: Path
) -> None:
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from tokenizers import Tokenizer

    made = export(tiny_model_folder, "onnx", tmp_path / "onnx", data=str(pairs))
    tokenizer = Tokenizer.from_file(str(made.folder / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(64)
    session = ort.InferenceSession(str(made.folder / "onnx/model.onnx"))
    read = tokenizer.encode_batch(TEXTS)
    parts = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    inputs = {each.name: np.array([getattr(text, parts[each.name]) for text in read]) for each in session.get_inputs()}
    vectors = session.run(["sentence_embedding"], inputs)[0]
    np.testing.assert_allclose(vectors, load(tiny_model_folder).encode(TEXTS), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_int8_is_smaller_and_other_vectors_are_refused_by_the_limit(
    target: str, tiny_model_folder: Path, pairs: Path, tmp_path: Path
) -> None:
    for name in TARGETS[target].requires:
        pytest.importorskip(name)
    whole = export(tiny_model_folder, target, tmp_path / "whole", data=str(pairs))
    small = export(tiny_model_folder, target, tmp_path / "small", data=str(pairs), int8=True)
    assert small.bytes[1] < whole.bytes[1]
    assert whole.difference < 1e-6 < small.difference < small.limit
    with pytest.raises(TooDifferent) as raised:
        export(tiny_model_folder, target, tmp_path / "strict", data=str(pairs), int8=True, limit=1e-9)
    assert not raised.value.exported.passed
    assert not (tmp_path / "strict").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "small"}


@pytest.mark.parametrize("target", ["tei", "vllm"])
def test_a_folder_for_a_server_is_also_a_model(
    target: str, tiny_model_folder: Path, pairs: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "served"
    command = ["export", str(tiny_model_folder), "--for", target, "--out", str(out), "--data", str(pairs), "--json"]
    assert run(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["difference"]["greatest"] < 1e-6
    assert str(out) in found["start"]
    np.testing.assert_array_equal(
        SentenceTransformer(str(out), device="cpu").encode(TEXTS), load(tiny_model_folder).encode(TEXTS)
    )
    assert run(command) == 2  # it already exists


def test_static_models_are_compared_by_similarities(tiny_model_folder: Path, pairs: Path, tmp_path: Path) -> None:
    made = export(tiny_model_folder, "static", tmp_path / "static", data=str(pairs))
    # PCA gives other axes, also where the width stays.
    assert made.measure == "similarities"
    assert load(made.folder).encode(TEXTS).shape[0] == 3


def test_a_difference_above_the_limit_is_exit_1_and_leaves_nothing(
    tiny_model_folder: Path, pairs: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "static"
    command = ["export", str(tiny_model_folder), "--for", "static", "--out", str(out), "--data", str(pairs)]
    assert run([*command, "--limit", "1e-6", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["passed"] is False
    assert json.loads(captured.out)["folder"] is None
    assert str(out) in captured.err
    assert not list(tmp_path.iterdir())


def test_mistakes_are_refused_before_the_work(
    tiny_model_folder: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for options in ({"int8": True}, {"limit": -1.0}, {"task": "retrieval"}, {"columns": {"anchor": "a"}}):
        with pytest.raises(InputError):
            export(tiny_model_folder, "tei", out, **options)
    with pytest.raises(InputError, match="choose from onnx"):
        export(tiny_model_folder, "tensorrt", out)
    monkeypatch.setattr("nearfar.serving.exporting.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"nearfar\[onnx\]"):
        export(tiny_model_folder, "onnx", out)
    assert not list(tmp_path.iterdir())


def test_models_that_cannot_be_exported_are_refused(
    tiny_model_folder: Path, wide: Path, pairs: Path, tmp_path: Path
) -> None:
    from nearfar.models.kind_files import write_kind

    with pytest.raises(InputError, match="12 dimensions"):
        export(wide, "tei", tmp_path / "tei", data=str(pairs))
    model = load(tiny_model_folder)
    Encoder(model).save(tmp_path / "scorer")
    write_kind(tmp_path / "scorer", "pair scorer")
    with pytest.raises(InputError, match="expected a text encoder"):
        export(tmp_path / "scorer", "onnx", tmp_path / "onnx", data=str(pairs))
    static = export(tiny_model_folder, "static", tmp_path / "static", data=str(pairs)).folder
    with pytest.raises(InputError, match="static already"):
        export(static, "onnx", tmp_path / "onnx", data=str(pairs))
    model[1] = Pooling(32, "mean", include_prompt=False)
    model.prompts = {"query": "find: ", "document": ""}
    Encoder(model).save(tmp_path / "instructor")
    with pytest.raises(InputError, match="include_prompt"):
        export(tmp_path / "instructor", "onnx", tmp_path / "onnx", data=str(pairs))


def test_the_command_line_does_not_load_torch_for_its_help() -> None:
    code = "import sys, nearfar.cli.app, nearfar.cli.export; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, timeout=120).returncode == 0


def test_data_that_fits_no_task_is_refused_before_anything_is_written(tiny_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "a cat"}\n{"text": "a dog"}\n')
    said: list[str] = []
    with pytest.raises(InputError):
        export(tiny_model_folder, "tei", tmp_path / "out", data=str(tmp_path / "texts.jsonl"), progress=said.append)
    assert not said
    assert not (tmp_path / "out").exists()

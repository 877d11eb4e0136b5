"""Loading an encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from nearfar.errors import InputError
from nearfar.models import fingerprint, load
from nearfar.models.encoding import encode


def test_folder_loads_in_evaluation_mode_and_gives_the_same_vectors_each_time(tiny_model_folder: Path):
    model = load(str(tiny_model_folder), device="cpu")
    assert not model.training
    vectors = model.encode(["the cat sits", "a dog runs"])
    assert vectors.shape == (2, 32)
    np.testing.assert_array_equal(vectors, load(tiny_model_folder, device="cpu").encode(["the cat sits", "a dog runs"]))


def test_plain_transformers_folder_gets_mean_pooling(plain_model_folder: Path, tiny_model):
    model = load(plain_model_folder, device="cpu")
    assert model[1].pooling_mode == "mean"
    np.testing.assert_allclose(model.encode(["the cat"]), tiny_model.encode(["the cat"]), atol=1e-6)


def test_max_length_cuts_texts(tiny_model_folder: Path):
    short = load(tiny_model_folder, device="cpu", max_length=4)
    assert short.max_seq_length == 4
    np.testing.assert_allclose(short.encode(["the cat sits on the mat"]), short.encode(["the cat"]), atol=1e-6)


@pytest.mark.parametrize("length", [0, -1, 1, 2, 65])
def test_max_length_must_fit_the_model(tiny_model_folder: Path, length: int):
    with pytest.raises(InputError, match=r"^max_length: .* 3 and at most 64"):
        load(tiny_model_folder, device="cpu", max_length=length)


def test_the_least_length_holds_one_token_of_the_text(tiny_model: SentenceTransformer, tiny_model_folder: Path):
    # [CLS] and [SEP] take two: the texts differ by their first words alone.
    assert not np.allclose(*encode(tiny_model, ["cat sits", "dog sits"], max_length=3))
    np.testing.assert_allclose(*encode(tiny_model, ["cat sits", "cat runs"], max_length=3), atol=1e-6)
    for length in (1, 2):
        with pytest.raises(InputError, match=r"^max_length: .* 3 "):
            encode(tiny_model, ["a cat"], max_length=length)


@pytest.mark.parametrize("length", [1, 2])
def test_a_model_of_its_own_that_reads_no_text(model_copy: Path, length: int):
    settings = json.loads((model_copy / "sentence_bert_config.json").read_text())
    (model_copy / "sentence_bert_config.json").write_text(json.dumps(settings | {"max_seq_length": length}))
    config = json.loads((model_copy / "tokenizer_config.json").read_text())
    (model_copy / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": length}))
    with pytest.raises(InputError, match=rf"model: max_seq_length: .* {length} tokens.* 3$"):
        load(model_copy, device="cpu")


@pytest.mark.parametrize("kind", ["encoder", "reranker"])
@pytest.mark.parametrize("length", [1, 2, 4, 65])
def test_a_length_of_training_must_hold_every_text(tiny_model_folder: Path, kind: str, length: int):
    from nearfar.kinds.loading import kind_named
    from nearfar.kinds.options import TrainingOptions

    model, options = kind_named(kind).load(tiny_model_folder, device="cpu"), TrainingOptions(max_length=length)
    least = {"encoder": 3, "reranker": 5}[kind]
    if least <= length <= 64:
        model.configure(options)
        return
    with pytest.raises(InputError, match=rf"^max_length: .* {least} and at most 64"):
        model.configure(options)


def test_unusable_device(tiny_model_folder: Path):
    with pytest.raises(InputError, match=r"^device: .*'nonsense'"):
        load(tiny_model_folder, device="nonsense")


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c", ""])
def test_missing_folder(name: str):
    with pytest.raises(InputError, match=rf"^model: .*{name}'"):
        load(name, device="cpu")


@pytest.mark.parametrize("name", ["nearfar-tests/there-is-no-such-model", "no-such-alias"])
def test_unknown_hub_id_names_the_aliases(name: str, monkeypatch: pytest.MonkeyPatch):
    # Whatever the machine's environment says, these tests must not reach for the network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=rf"^model: '{name}' .*minilm") as caught:
        load(name, device="cpu")
    assert "\n" not in str(caught.value)


def test_file_instead_of_folder(tiny_model_folder: Path):
    with pytest.raises(InputError, match=r"config\.json: .*got a file"):
        load(tiny_model_folder / "config.json", device="cpu")


def test_folder_that_is_no_model(tmp_path: Path):
    with pytest.raises(InputError, match=r"modules\.json.*config\.json"):
        load(tmp_path, device="cpu")


def test_pickled_weights_are_refused(model_copy: Path):
    weights = model_copy / "model.safetensors"
    torch.save(load_file(weights), model_copy / "pytorch_model.bin")
    load(model_copy, device="cpu")  # safetensors beside it are read instead
    weights.unlink()
    with pytest.raises(InputError, match=r"pytorch_model\.bin: .*safe_serialization"):
        load(model_copy, device="cpu")


def test_pickled_weights_in_a_later_module_are_refused(model_copy: Path):
    (model_copy / "2_Dense").mkdir()
    torch.save({}, model_copy / "2_Dense" / "pytorch_model.bin")
    modules = json.loads((model_copy / "modules.json").read_text())
    dense = "sentence_transformers.base.modules.Dense"
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": dense})
    (model_copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match=r"2_Dense.pytorch_model\.bin: "):
        load(model_copy, device="cpu")


def test_no_weights(model_copy: Path):
    (model_copy / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model: .*model\.safetensors"):
        load(model_copy, device="cpu")


@pytest.mark.parametrize("keep", [0, 5, 4000])
def test_weights_cut_short(model_copy: Path, keep: int):
    weights = model_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model\.safetensors: .*corrupted"):
        load(model_copy, device="cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(model_copy: Path, value: float):
    weights = load_file(model_copy / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][3] = value
    save_file(weights, model_copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        load(model_copy, device="cpu")


def test_config_of_another_shape_is_one_line(model_copy: Path):
    config = json.loads((model_copy / "config.json").read_text())
    (model_copy / "config.json").write_text(json.dumps(config | {"hidden_size": 48, "num_attention_heads": 3}))
    with pytest.raises(InputError, match=r"model: .*\(RuntimeError: ") as caught:
        load(model_copy, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_models_own_code_never_runs(model_copy: Path, tmp_path: Path):
    trace = tmp_path / "ran"
    (model_copy / "own.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass Own: pass\n")
    modules = json.loads((model_copy / "modules.json").read_text())
    modules[0]["type"] = "own.Own"
    (model_copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InputError, match=r"model: .*'?own\.Own"):
        load(model_copy, device="cpu")
    assert not trace.exists()


def test_fingerprint_follows_weights_and_settings_only(tiny_model_folder: Path):
    model = load(tiny_model_folder, device="cpu")
    first = fingerprint(model)
    model.encode(["a much longer text than the tokenizer saw before", "the cat"])
    assert fingerprint(model) == first == fingerprint(load(tiny_model_folder, device="cpu"))
    model.prompts["query"] = "query: "
    with_prompt = fingerprint(model)
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1
    assert len({first, with_prompt, fingerprint(model)}) == 3

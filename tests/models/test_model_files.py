"""A model's folder in which a file of settings is broken, or weights are pickled: one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nearfar.errors import InputError
from nearfar.kinds.loading import load_kind
from nearfar.models import load
from nearfar.models.model_files import MOST_BYTES

DENSE = "sentence_transformers.base.modules.Dense"
DEEP = "[" * 100_000
NOT_JSON = ["", "{", DEEP, "\ud800", "nul", "1" * 5000, b"\xff\xfe"]


def write(file: Path, content: str | bytes) -> None:
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


def refused(folder: Path) -> str:
    messages = set()
    for loads in (load, load_kind):
        with pytest.raises(InputError) as caught:
            loads(folder, device="cpu")
        messages.add(str(caught.value))
    (message,) = messages
    assert "\n" not in message
    return message


@pytest.mark.parametrize("content", [*NOT_JSON, "5", '"x"', "null", "[]"])
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "tokenizer_config.json",
        "1_Pooling/config.json",
        "adapter_config.json",
        "nearfar.json",
    ],
)
def test_a_broken_file_of_settings_is_named(name: str, content: str | bytes, model_copy: Path):
    write(model_copy / name, content)
    assert f"{name}: " in refused(model_copy)


@pytest.mark.parametrize("content", [*NOT_JSON, "5", "{}", "[5]", "[[]]", '[{"path": ""}]', "[" * 900 + "]" * 900])
def test_a_broken_list_of_modules_is_named(content: str | bytes, model_copy: Path):
    write(model_copy / "modules.json", content)
    assert "modules.json: " in refused(model_copy)


@pytest.mark.parametrize("path", [5, None, [], "../..", "a/../../b", "/etc", "C:\\x", "..\\x", "\\\\host\\x", "a\0b"])
def test_a_module_outside_the_folder(path: object, model_copy: Path):
    modules = json.loads((model_copy / "modules.json").read_text())
    modules[1]["path"] = path
    (model_copy / "modules.json").write_text(json.dumps(modules))
    assert "modules.json: path: " in refused(model_copy)


@pytest.mark.parametrize("field", ["type", "name"])
@pytest.mark.parametrize("value", [5, None, [], {}])
def test_a_module_whose_type_is_no_text(field: str, value: object, model_copy: Path):
    modules = json.loads((model_copy / "modules.json").read_text())
    modules[0][field] = value
    (model_copy / "modules.json").write_text(json.dumps(modules))
    assert f"modules.json: {field}: module 0: expected a text" in refused(model_copy)


@pytest.mark.parametrize("type_", ["", "x", "os.system", "sentence_transformers.nothing", "sentence_transformers..x"])
def test_an_unknown_type_of_module(type_: str, model_copy: Path):
    modules = json.loads((model_copy / "modules.json").read_text())
    modules[0]["type"] = type_
    (model_copy / "modules.json").write_text(json.dumps(modules))
    assert "cannot be loaded as a text encoder" in refused(model_copy)


@pytest.mark.parametrize("name", ["modules.json", "config.json", "sentence_bert_config.json"])
def test_a_huge_file_of_settings(name: str, model_copy: Path):
    with (model_copy / name).open("r+b") as file:
        file.truncate(MOST_BYTES + 1)
    assert f"{name}: is too large" in refused(model_copy)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("nearfar.json", "kind", []),
        ("nearfar.json", "kind", 5),
        ("sentence_bert_config.json", "max_seq_length", "many"),
        ("sentence_bert_config.json", "max_seq_length", -1),
        ("config_sentence_transformers.json", "prompts", ["query"]),
        ("config_sentence_transformers.json", "prompts", {"query": 5}),
    ],
)
def test_a_setting_of_another_type_is_named(name: str, field: str, value: object, model_copy: Path):
    file = model_copy / name
    settings = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(settings | {field: value}))
    assert f"{name}: {field}: " in refused(model_copy)


@pytest.mark.parametrize("value", [5, {"a": 1}, [5]])
def test_architectures_that_are_no_names(value: object, plain_model_folder: Path, tmp_path: Path):
    config = json.loads((plain_model_folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architectures": value}))
    with pytest.raises(InputError, match=r"config\.json: architectures: "):
        load_kind(tmp_path)


def test_pickled_weights_behind_other_safetensors(model_copy: Path):
    weights = model_copy / "model.safetensors"
    weights.rename(model_copy / "decoy.safetensors")
    torch.save({}, model_copy / "pytorch_model.bin")
    assert "pytorch_model.bin: the weights are pickled" in refused(model_copy)


@pytest.mark.parametrize("place", ["2_Dense", "2_Router/inner", "2_Router/inner/innermost"])
def test_pickled_weights_of_a_part_behind_other_safetensors(place: str, model_copy: Path):
    part = model_copy / place
    part.mkdir(parents=True)
    torch.save({"linear.weight": torch.zeros(8, 32), "linear.bias": torch.zeros(8)}, part / "pytorch_model.bin")
    (part / "decoy.safetensors").write_bytes((model_copy / "model.safetensors").read_bytes())
    first, *routes = place.split("/")
    for depth, route in enumerate(routes):
        name = "router_config.json" if depth else "config.json"  # the old name, and the new one
        listing = {"types": {route: DENSE}, "structure": {"text": [route]}, "parameters": {}}
        model_copy.joinpath(first, *routes[:depth], name).write_text(json.dumps(listing))
    modules = json.loads((model_copy / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": first, "type": DENSE})
    (model_copy / "modules.json").write_text(json.dumps(modules))
    assert f"{place}/pytorch_model.bin: the weights are pickled" in refused(model_copy)


def test_a_route_outside_the_folder(model_copy: Path):
    (model_copy / "router_config.json").write_text(json.dumps({"types": {"../x": DENSE}, "structure": {}}))
    assert "router_config.json: path: invalid path '../x'" in refused(model_copy)

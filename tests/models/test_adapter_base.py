"""An adapter and the model under it: both are whole, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nearfar.errors import InputError
from nearfar.models import load
from nearfar.models.adapter_base import base_of, check_base
from nearfar.models.adapters import ADAPTER, CONFIGURATION

Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def whole(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    peft = pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp("adapted")
    model = load(tiny_model_folder, device="cpu")
    model.add_adapter(peft.LoraConfig(task_type="FEATURE_EXTRACTION", r=4, target_modules=["query", "value"]))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    model.save_pretrained(str(folder))
    return folder


@pytest.fixture
def adapted(whole: Path, model_copy: Path, tmp_path: Path) -> Path:
    """An adapter on a base model that a test may damage, `model_copy`."""
    folder = Path(shutil.copytree(whole, tmp_path / "adapted"))
    return with_base(folder, str(model_copy))


def with_base(folder: Path, base: object) -> Path:
    settings = json.loads((folder / CONFIGURATION).read_text())
    (folder / CONFIGURATION).write_text(json.dumps({**settings, "base_model_name_or_path": base}))
    return folder


def change(file: Path, changed: Callable[[Weights], Weights]) -> None:
    save_file(changed(load_file(file)), file, metadata={"format": "pt"})


def test_a_whole_adapter_on_a_whole_base(adapted: Path, model_copy: Path):
    assert base_of(adapted) == str(model_copy)
    assert base_of(model_copy) is None
    # A tensor of the base that nothing uses is no fault, as without an adapter.
    change(model_copy / "model.safetensors", lambda weights: {**weights, "other.weight": torch.zeros(2)})
    assert torch.isfinite(torch.tensor(load(adapted, device="cpu").encode(["the cat"]))).all()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (lambda weights: dict(list(weights.items())[1:]), r"do not contain '\S*lora_\S*', which the adapter"),
        (lambda weights: {f"x.{name}": value for name, value in weights.items()}, r"do not contain '\S*lora_"),
        (
            lambda weights: {
                **weights,
                "base_model.model.encoder.layer.7.output.dense.lora_A.weight": torch.ones(4, 32),
            },
            r"the adapter contains '\S*layer\.7\S*', for which the base model has no place",
        ),
    ],
)
def test_an_adapter_with_missing_or_foreign_tensors(changed: Callable[[Weights], Weights], problem: str, adapted: Path):
    change(adapted / ADAPTER, changed)
    with pytest.raises(InputError, match=problem) as caught:
        load(adapted, device="cpu")
    assert caught.value.file == adapted / ADAPTER


@pytest.mark.parametrize(
    "tensor", ["encoder.layer.1.output.dense.weight", "encoder.layer.0.attention.self.query.weight"]
)
def test_a_base_with_missing_tensors(tensor: str, adapted: Path, model_copy: Path):
    change(
        model_copy / "model.safetensors",
        lambda weights: {name: value for name, value in weights.items() if name != tensor},
    )
    with pytest.raises(InputError, match=rf"the weights do not contain '{tensor}'") as caught:
        load(adapted, device="cpu")
    assert caught.value.file == model_copy / "model.safetensors"


def test_a_pickled_base(adapted: Path, model_copy: Path):
    (model_copy / "model.safetensors").rename(model_copy / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled") as caught:
        load(adapted, device="cpu")
    assert caught.value.file == model_copy / "pytorch_model.bin"


@pytest.mark.parametrize("base", [None, "", 5, ["a"], "/no/such/folder", "./gone", "a/b/c"])
def test_a_base_that_is_not_named_or_does_not_exist(base: object, whole: Path, tmp_path: Path):
    folder = with_base(Path(shutil.copytree(whole, tmp_path / "adapted")), base)
    with pytest.raises(InputError) as caught:
        check_base(folder)
    assert (caught.value.file, caught.value.field) == (folder / CONFIGURATION, "base_model_name_or_path")


def test_a_release_of_peft_that_transformers_refuses_is_one_line(tiny_lm_folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    from nearfar.models.adapters import add_lora

    model = AutoModelForCausalLM.from_pretrained(tiny_lm_folder)

    def refuse(*_: object) -> None:
        raise ValueError("The version of PEFT you are using is not compatible, please use a version >= 0.99")

    model.add_adapter = refuse
    with pytest.raises(InputError, match=r"^lora_rank: .*0\.99"):
        add_lora(model, 2)

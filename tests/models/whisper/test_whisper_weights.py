"""The weights of Whisper under the names of transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.models.whisper.ctranslate2 import Variables
from nearfar.models.whisper.weights import TINY, whisper_weights
from whisper.helpers import SHAPE, as_variables, whole_whisper


@pytest.fixture(scope="module")
def variables() -> dict[str, Tensor]:
    return as_variables(whole_whisper())


def weights(variables: dict[str, Tensor], shape=SHAPE, specification: str = "WhisperSpec") -> dict[str, Tensor]:
    return whisper_weights(Variables(specification, 3, variables, {}), shape, Path("model.bin"))


def test_every_weight_of_a_whisper(variables: dict[str, Tensor]):
    expected = {name: value for name, value in whole_whisper().state_dict().items() if name != "proj_out.weight"}
    found = weights(variables)
    assert found.keys() == expected.keys()
    assert all(value.dtype == torch.float32 and torch.equal(value, expected[name]) for name, value in found.items())


@pytest.mark.parametrize("name", ["encoder/conv1/weight", "decoder/layer_1/attention/linear_1/bias"])
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda value: None, "is missing"),
        (lambda value: value[:-1], "shape"),
        (lambda value: value.to(torch.int8), "int8"),
        (lambda value: torch.full_like(value, torch.nan), "NaN"),
        (lambda value: torch.full_like(value, torch.inf), "infinity"),
    ],
)
def test_a_wrong_variable_is_named(variables: dict[str, Tensor], name: str, change, problem: str):
    changed = change(variables[name])
    others = {key: value for key, value in variables.items() if key != name}
    with pytest.raises(InputError, match=rf"model\.bin: variable '{name}': .*{problem}"):
        weights(others if changed is None else {**others, name: changed})


def test_keys_have_no_bias(variables: dict[str, Tensor]):
    name = "encoder/layer_0/self_attention/linear_0/bias"
    biased = variables[name].clone()
    biased[SHAPE.width] = 1
    with pytest.raises(InputError, match=f"'{name}': expected zeros"):
        weights({**variables, name: biased})


def test_another_model(variables: dict[str, Tensor]):
    with pytest.raises(InputError, match="TransformerSpec"):
        weights(variables, specification="TransformerSpec")
    with pytest.raises(InputError, match="'encoder/num_heads': expected 4, got 2"):
        weights(variables, replace(SHAPE, heads=4))
    with pytest.raises(InputError, match="shape"):
        weights(variables, replace(TINY, heads=2))

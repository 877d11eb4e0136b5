"""What `lost` composes from its options, and its use from the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from nearfar.cli.app import run
from nearfar.errors import InputError
from nearfar.kinds.options import with_settings
from nearfar.models.low_rank.layers import LostLinear, is_converted
from nearfar.recipes import lost

DOCUMENTS = Dataset.from_dict({"text": [f"a document about the number {number} and others" for number in range(40)]})
SMALL = {"vocabulary": 300, "hidden_size": 32, "layers": 2, "heads": 2, "rank": 8, "sparsity": 0.2}


def prepared(**options: Any) -> Any:
    return lost.prepare(None, DOCUMENTS, lost.Options(**{**SMALL, **options}))


def test_a_small_llama_by_options() -> None:
    trained = prepared(max_length=48).model
    config = trained.model.config
    assert isinstance(trained.model, LlamaForCausalLM)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (32, 2, 2)
    assert config.intermediate_size == 88  # 8/3 of 32, up to a multiple of 8
    assert config.max_position_embeddings == 48
    assert config.vocab_size == len(trained.tokenizer) <= 300
    layers = [module for module in trained.model.modules() if isinstance(module, LostLinear)]
    assert len(layers) == 2 * 7
    assert {len(layer.channels) for layer in layers} == {6, 17}
    assert {layer.gamma for layer in layers} == {0.7}


def test_full_and_low_rank_weights_by_the_same_options() -> None:
    full = prepared(rank=0)
    assert not is_converted(full.model.model)
    assert full.finish is None
    low = prepared(sparsity=0, activation="identity")
    layers = [module for module in low.model.model.modules() if isinstance(module, LostLinear)]
    assert all(layer.values is None and layer.gamma == 1 and layer.activation == "identity" for layer in layers)
    cola = prepared(sparsity=0, factors="cola")
    stds = [
        float(layer.down.detach().std() / (8**-0.25 * (layer.in_features + layer.out_features) ** -0.25))
        for layer in layers
    ]
    drawn = [
        float(module.down.detach().std() / (8**-0.25 * (module.in_features + module.out_features) ** -0.25))
        for module in cola.model.model.modules()
        if isinstance(module, LostLinear)
    ]
    assert all(abs(ratio - 1) < 0.15 for ratio in drawn)
    assert all(ratio < 0.7 for ratio in stds)
    assert prepared(dense=False).finish is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": "-1"}, "rank: invalid value -1"),
        ({"activation": "relu"}, "activation: invalid value 'relu'; choose from silu, identity"),
        ({"gama": "0.5"}, "did you mean gamma"),
        ({"layers": "0"}, "layers: invalid value 0"),
        ({"vocabulary": "many"}, "vocabulary: expected a whole number, got 'many'"),
    ],
)
def test_options_that_do_not_fit(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_settings(lost.Options(), settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"gamma": 2}, "gamma: invalid value 2"), ({"sparsity": 1.5}, "sparsity: invalid value 1.5")],
)
def test_numbers_that_the_layers_refuse(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepared(**options)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus.txt").write_text("\n\n".join(DOCUMENTS["text"]))
    settings = {**SMALL, "max_steps": 4, "batch_size": 4, "max_length": 16, "dense_steps": 1, "held_out": 0.2}
    chosen = " ".join(f"--set {key}={value}" for key, value in settings.items())
    out = tmp_path / "run"
    assert run(shlex.split(f"train lost --data {tmp_path}/corpus.txt --out {out} {chosen} --json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["model"] == str(out / "model")
    assert {"parameters", "memory_bytes", "speed", "dense", "after"} <= set(printed)
    assert printed["dense"]["exact"] is False
    assert AutoModelForCausalLM.from_pretrained(out / "dense").num_parameters() > printed["parameters"]["all"]
    assert run(shlex.split(f"train lost --data {tmp_path}/corpus.txt --out {out} {chosen} --resume")) == 0
    assert "perplexity went from" in capsys.readouterr().out
    assert json.loads((out / "metrics.json").read_text()).items() <= printed.items()
    assert run(shlex.split(f"train lost --data {tmp_path}/corpus.txt --out {out} {chosen}")) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "already contains a run" in error

"""Arguments of the Hugging Face trainer from a file, and gradient checkpointing."""

from __future__ import annotations

import importlib.util
import json
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from datasets import Dataset

from nearfar import train
from nearfar.cli.app import run as command
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.kinds.options import LanguageOptions, TrainingOptions
from nearfar.training.trainer_args import check_trainer_args, read_trainer_args

STEPS: dict[str, Any] = {"max_steps": 4, "batch_size": 8, "learning_rate": 1e-2}
TEXTS = ["the cat 1", "a dog"]


def rows() -> Dataset:
    return Dataset.from_dict(
        {"anchor": [f"the cat {i}" for i in range(32)], "positive": [f"a dog {i}" for i in range(32)]}
    )


def test_arguments_of_a_file_reach_the_trainer_and_are_recorded(tiny_model_folder: Path, tmp_path: Path) -> None:
    write_jsonl([dict(row) for row in rows()], tmp_path / "rows.jsonl")
    file = tmp_path / "trainer.yaml"
    file.write_text("lr_scheduler_type: constant\nlogging_steps: 1\nlogging_first_step: true\n")
    base = ["train", "infonce", "--data", str(tmp_path / "rows.jsonl"), "--model", str(tiny_model_folder)]
    arguments = [*base, "--out", str(tmp_path / "run"), *(f"--set={name}={value}" for name, value in STEPS.items())]
    assert command([*arguments, "--set=warmup_ratio=0", "--trainer-args", str(file)]) == 0
    written = yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())
    assert written["trainer_args"] == {
        "lr_scheduler_type": "constant", "logging_steps": 1, "logging_first_step": True,
    }  # fmt: skip
    (last,) = (tmp_path / "run" / "checkpoints").glob("checkpoint-*")
    log = json.loads((last / "trainer_state.json").read_text())["log_history"]
    assert [entry["learning_rate"] for entry in log] == [1e-2] * 4
    # The same in Python; a run is resumed only with the same arguments.
    other = {"model": tiny_model_folder, "out": tmp_path / "run", "warmup_ratio": 0, **STEPS}
    with pytest.raises(InputError) as caught:
        train("infonce", str(tmp_path / "rows.jsonl"), resume=True, trainer_args={"logging_steps": 1}, **other)
    assert caught.value.field == "trainer_args.lr_scheduler_type"
    train("infonce", str(tmp_path / "rows.jsonl"), resume=True, trainer_args=file, **other)


@pytest.mark.parametrize(
    ("arguments", "options", "field", "remedy"),
    [
        ({"output_dir": "x"}, TrainingOptions(), "output_dir", "--out"),
        ({"seed": 1}, TrainingOptions(), "seed", "--seed"),
        ({"num_train_epochs": 1}, TrainingOptions(), "num_train_epochs", "--set epochs="),
        ({"learning_rate": 1}, TrainingOptions(), "learning_rate", "--set learning_rate="),
        ({"adam_beta2": 0.9}, LanguageOptions(), "adam_beta2", "--set beta2="),
        ({"dataloader_num_workers": 2}, TrainingOptions(), "dataloader_num_workers", "--set workers="),
        ({"save_strategy": "no"}, TrainingOptions(), "save_strategy", "remove"),
        ({"logging_step": 1}, TrainingOptions(), "logging_step", "logging_steps"),
        ({"logging_steps": "often"}, TrainingOptions(), "logging_steps", ""),
        ({"report_to": "nothing-known"}, TrainingOptions(), "--trainer-args", ""),
        ({"optim": "nothing-known"}, TrainingOptions(), "--trainer-args", ""),
    ],
)
def test_wrong_arguments_are_refused_with_file_and_field(
    arguments: dict[str, Any], options: TrainingOptions, field: str, remedy: str, tmp_path: Path
) -> None:
    file = tmp_path / "trainer.json"
    file.write_text(json.dumps(arguments))
    with pytest.raises(InputError) as caught:
        check_trainer_args(read_trainer_args(file), options, file)
    assert (caught.value.file, caught.value.field) == (file, field)
    assert remedy in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("arguments", "field", "package"),
    [
        ({"deepspeed": "zero3.json"}, "deepspeed", "deepspeed"),
        ({"report_to": "tensorboard"}, "report_to", "tensorboard"),
        ({"report_to": ["none", "wandb"]}, "report_to", "wandb"),
        ({"report_to": ["trackio"]}, "report_to", "trackio"),
    ],
)
def test_a_package_that_is_not_installed_is_named_before_the_folder_is_claimed(
    arguments: dict[str, Any], field: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    absent = (package, "tensorboardX")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name in absent else found(name))
    with pytest.raises(InputError) as caught:
        train("infonce", rows(), out=tmp_path / "run", model="never-loaded", trainer_args=arguments, **STEPS)
    assert (caught.value.field, caught.value.remedy) == (field, f"pip install {package}")
    assert not (tmp_path / "run").exists()


def test_the_configuration_of_deepspeed_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    spec = ModuleSpec("deepspeed", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: spec if name == "deepspeed" else found(name))
    with pytest.raises(InputError, match=r"^deepspeed: the file 'nowhere\.json' does not exist"):
        check_trainer_args({"deepspeed": "nowhere.json"}, TrainingOptions())


def test_what_no_option_of_the_recipe_sets_is_allowed() -> None:
    check_trainer_args({"adam_beta2": 0.9, "optim": "adafactor"}, TrainingOptions())


@pytest.mark.parametrize(("text", "line"), [("a: [1", 1), ("- a\n- b\n", None), ("1: 2\n", None), (None, None)])
def test_a_file_that_is_no_mapping_is_refused(text: str | None, line: int | None, tmp_path: Path) -> None:
    file = tmp_path / "trainer.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_trainer_args(file)
    assert (caught.value.file, caught.value.line) == (file, line)


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ({"fsdp": True}, {}),
        ({"fsdp": "full_shard"}, {}),
        ({"deepspeed": "zero3.json"}, {}),
        ({}, {"ACCELERATE_USE_DEEPSPEED": "true"}),
        ({}, {"ACCELERATE_USE_FSDP": "true"}),
    ],
)
def test_the_gradient_cache_is_refused_where_weights_are_sharded(
    arguments: dict[str, Any],
    variables: dict[str, str],
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_jsonl([dict(row) for row in rows()], tmp_path / "rows.jsonl")
    (tmp_path / "trainer.yaml").write_text(yaml.safe_dump(arguments))
    monkeypatch.setattr("nearfar.training.trainer_args._check_deepspeed", lambda *_: None)  # as if it was installed
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    given = ["train", "infonce", "--data", str(tmp_path / "rows.jsonl"), "--model", str(tiny_model_folder)]
    given += ["--trainer-args", str(tmp_path / "trainer.yaml"), "--out", str(tmp_path / "run"), "--set", "cached=true"]
    assert command(given) == 2
    assert "the gradient cache" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("arguments", "variables"), [({"fsdp": True}, {}), ({}, {"ACCELERATE_USE_FSDP": "true"})])
def test_fsdp_is_refused_where_it_shards_nothing(
    arguments: dict[str, Any],
    variables: dict[str, str],
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="fsdp has no effect without GPUs"):
        train("infonce", rows(), out=tmp_path / "run", model=tiny_model_folder, trainer_args=arguments, **STEPS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("lora", [0, 2])
@pytest.mark.parametrize("cached", [False, True])
def test_gradient_checkpointing_gives_the_same_model(
    cached: bool, lora: int, tiny_model_folder: Path, tmp_path: Path
) -> None:
    if lora:
        pytest.importorskip("peft")
    # Small steps: AdamW divides by tiny gradients.
    options = {**STEPS, "model": tiny_model_folder, "cached": cached, "lora_rank": lora, "learning_rate": 1e-4}
    found = [
        train("infonce", rows(), out=tmp_path / str(on), gradient_checkpointing=on, **options).model.encode(TEXTS)
        for on in (False, True)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_gradient_checkpointing_keeps_less_for_the_backward_pass(tiny_model_folder: Path, tmp_path: Path) -> None:
    import torch

    from nearfar.losses import ContrastLoss

    kept: list[int] = []
    for on in (False, True):
        run = train(
            "infonce", rows(), model=tiny_model_folder, out=tmp_path / str(on), gradient_checkpointing=on, **STEPS
        )
        model = run.model.train()
        columns = [model.preprocess([f"{text} {'and so ' * 20}" for text in TEXTS]) for _ in range(2)]
        sizes: list[int] = []

        def pack(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            ContrastLoss(model)(columns, None)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


def test_a_model_without_layers_of_transformers_has_no_gradient_checkpointing(tiny_model: Any, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    static = SentenceTransformer(modules=[StaticEmbedding(tiny_model.tokenizer._tokenizer, embedding_dim=8)])
    with pytest.raises(InputError, match=r"^gradient_checkpointing"):
        train("infonce", rows(), model=static, out=tmp_path / "run", gradient_checkpointing=True, **STEPS)

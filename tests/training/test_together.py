"""Several processes of torchrun train together what one process trains with a batch of all their rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.training import stages
from nearfar.training.folder import RunFolder
from nearfar.training.run import train
from torchrun import accelerate, ended, free_port, host_of_two, torchrun

#: By name: the recipe, the file of rows, and its options.
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "plain": ("infonce", "pairs", {}),
    "cached": ("infonce", "pairs", {"cached": True}),
    "chunks": ("chunks.py", "pairs", {}),
    # Rows that share a text make batches of 7 rows and one of 2, which are divided into 3 + 4 and 1 + 1.
    "unequal": ("infonce", "uneven", {}),
    "unequal-cached": ("infonce", "uneven", {"cached": True}),
    "labelled": ("infonce", "labels", {}),
    # A label with most of the rows, which is spread over all batches.
    "frequent": ("infonce", "frequent", {}),
    "teacher": ("score_distillation", "pairs", {"teacher": "model", "teacher_temperature": 0.5}),
    "joint-denominator": ("qwen3_embedding", "uneven", {}),
    "several-positives": ("codiemb", "uneven", {}),
    "hypersphere": ("contrastive_gap", "uneven", {}),
    "hardest": ("behaviour", "uneven", {"dropout": 0.0}),
    "soft-labels": ("dialog2flow", "labels", {}),
    "accumulated": ("infonce", "pairs", {"gradient_accumulation": 2, "learning_rate": 0.02}),
}

#: InfoNCE whose gradient cache embeds a text or two at a time; the second process may kill itself in a step.
CHUNKS = """
import os
from nearfar.kinds.options import ContrastOptions
from nearfar.losses import ContrastLoss
from nearfar.recipes import Plan, Recipe, Stage

class Killed(ContrastLoss):
    steps = 0

    def forward(self, *arguments):
        self.steps += 1
        if os.environ.get("RANK") == "1" and os.environ.get("KILLED_IN") == str(self.steps):
            os.kill(os.getpid(), 9)
        return super().forward(*arguments)

def prepare(model, rows, options):
    loss = Killed(model, cached=True, mini_batch_num_tokens=16, gather_across_devices=True)
    return Plan(model, Stage(rows, loss))

RECIPE = Recipe("chunks", {"rows": ("pairs",)}, ContrastOptions, prepare)
"""


@pytest.fixture(scope="module")
def folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, and two models without dropout, which no two processes draw as one process does."""
    import shutil

    folder = tmp_path_factory.mktemp("together")
    words = ["cat", "dog", "bank", "song", "river", "money", "guitar"]
    write_jsonl(
        [{"anchor": f"the {words[i % 7]} {i}", "positive": f"{i} a {words[i % 5]}"} for i in range(27)],
        folder / "pairs.jsonl",
    )
    write_jsonl([{"anchor": f"cat {i % 19}", "positive": f"dog {i % 7}"} for i in range(23)], folder / "uneven.jsonl")
    write_jsonl([{"text": f"the cat {i}", "label": "abc"[i % 3]} for i in range(30)], folder / "labels.jsonl")
    write_jsonl([{"text": f"a {i} dog", "label": "ab"[i % 4 == 0]} for i in range(30)], folder / "frequent.jsonl")
    (folder / "chunks.py").write_text(CHUNKS)
    model = Path(shutil.copytree(tiny_model_folder, folder / "model"))
    file = next(model.rglob("config.json"))
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}))
    return folder


def arguments(folder: Path, case: str, batch: int, out: str) -> dict[str, Any]:
    recipe, rows, options = CASES[case]
    options = {name: str(folder / "model") if value == "model" else value for name, value in options.items()}
    # Adam makes steps of full length of gradients that are 0 but for rounding.
    return {
        "recipe": str(folder / recipe) if recipe.endswith(".py") else recipe,
        "data": str(folder / f"{rows}.jsonl"),
        "model": str(folder / "model"),
        "out": str(folder / out / case),
        "trainer_args": {"optim": "sgd"},
        "batch_size": batch,
        "learning_rate": 0.05,
        "epochs": 2,
        **options,
    }


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model" / "model.safetensors")


def with_dropout(folder: Path, tiny_model_folder: Path) -> dict[str, Any]:
    """The settings of a run that is to be killed."""
    given = arguments(folder, "chunks", 4, "two")
    del given["trainer_args"], given["epochs"]
    return {**given, "model": str(tiny_model_folder), "max_steps": 8, "save_steps": 2}


@pytest.fixture(scope="module")
def of_two(folder: Path, tiny_model_folder: Path) -> Path:
    """The runs of two processes: of all cases, and one with dropout."""
    settings, whole = folder / "settings.json", with_dropout(folder, tiny_model_folder)
    whole["out"] = str(folder / "two" / "whole")
    settings.write_text(json.dumps([*(arguments(folder, case, 4, "two") for case in CASES), whole]))
    code, said = ended(torchrun(str(Path(__file__).with_name("together_worker.py")), str(settings)))
    assert code == 0, said
    return folder / "two"


def check_equal(one: Path, two: Path, folder: Path) -> None:
    """The weights of two runs are equal but for rounding, and have moved."""
    first, second, start = weights(one), weights(two), load_file(_weights_of(folder / "model"))
    moved = max((first[name] - start[name]).abs().max().item() for name in first)
    apart = max((first[name] - second[name]).abs().max().item() for name in first)
    assert moved > 1e-3
    assert apart < 1e-3 * moved


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does_with_the_same_rows_in_a_step(case: str, folder: Path, of_two: Path) -> None:
    given = arguments(folder, case, 8, "one")
    train(given.pop("recipe"), given.pop("data"), **given)
    check_equal(folder / "one" / case, of_two / case, folder)
    metrics = [json.loads((folder / of / case / "metrics.json").read_text()) for of in ("one", "two")]
    assert metrics[0]["steps"] == metrics[1]["steps"]
    assert metrics[0]["drawn"][0]["rows_in_all"] == metrics[1]["drawn"][0]["rows_in_all"]


@pytest.mark.slow
def test_accelerate_starts_processes_too(folder: Path, of_two: Path) -> None:
    (folder / "sgd.yaml").write_text("optim: sgd\n")
    given = arguments(folder, "plain", 4, "launched")
    command = ["train", given["recipe"], "--trainer-args", str(folder / "sgd.yaml")]
    command += [part for name in ("data", "model", "out") for part in (f"--{name}", given[name])]
    command += [
        part for name in ("batch_size", "learning_rate", "epochs") for part in ("--set", f"{name}={given[name]}")
    ]
    code, said = ended(accelerate("-m", "nearfar", *command))
    assert code == 0, said
    check_equal(of_two / "plain", folder / "launched" / "plain", folder)
    assert yaml.safe_load((folder / "launched" / "plain" / "run.yaml").read_text())["processes"] == 2


@pytest.mark.slow
def test_the_script_for_several_hosts(folder: Path, of_two: Path) -> None:
    given = arguments(folder, "plain", 4, "hosts")
    command = [given["recipe"], "--trainer-args", str(folder / "hosts.yaml")]
    (folder / "hosts.yaml").write_text("optim: sgd\n")
    command += [part for name in ("data", "model", "out") for part in (f"--{name}", given[name])]
    command += [f"--set={name}={given[name]}" for name in ("batch_size", "learning_rate", "epochs")]
    hosts = [host_of_two(*command, first=port) for port in [f"localhost:{free_port()}"] for _ in range(2)]
    found = [ended(host) for host in hosts]
    assert [code for code, _ in found] == [0, 0], found
    check_equal(of_two / "plain", folder / "hosts" / "plain", folder)


@pytest.mark.slow
def test_a_run_goes_on_after_one_process_was_killed(folder: Path, tiny_model_folder: Path, of_two: Path) -> None:
    given = with_dropout(folder, tiny_model_folder)
    recipe, data, model, out = (given.pop(name) for name in ("recipe", "data", "model", "out"))
    out = folder / "killed"
    command = ["-m", "nearfar", "train", recipe, "--data", data, "--model", model, "--out", str(out)]
    command += [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
    code, said = ended(torchrun(*command, KILLED_IN="6"))
    assert code != 0, said
    assert "SIGKILL" in said or "Signal 9" in said
    assert (out / "checkpoints" / "checkpoint-4" / "complete").exists()
    assert not (out / "metrics.json").exists()
    # Another number of processes would train on other batches.
    with pytest.raises(InputError, match="processes"):
        train(recipe, data, model=model, out=out, resume=True, **given)
    code, said = ended(torchrun(*command, "--resume"))
    assert code == 0, said
    assert all(torch.equal(value, weights(out)[name]) for name, value in weights(of_two / "whole").items())
    assert json.loads((out / "metrics.json").read_text())["steps"] == 8


def test_hosts_that_do_not_share_the_run_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints" / "checkpoint-2").mkdir(parents=True)
    (tmp_path / "checkpoints" / "checkpoint-2" / "complete").touch()
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(stages, "of_all", lambda value: [value, None])
    with pytest.raises(InputError, match="checkpoint-2 and none"):
        stages._checkpoint_of_all(RunFolder(tmp_path), 1)


def _weights_of(model: Path) -> Path:
    return next(model.rglob("model.safetensors"))

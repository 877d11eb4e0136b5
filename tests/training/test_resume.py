"""Killed while files are being written; see tests/kinds/test_every_kind.py for kills between steps, of every kind."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nearfar.data import write_jsonl

WORDS = ("cat", "dog", "mat", "grass", "green", "blue", "red", "sky", "sea", "fish", "bird", "tree", "bank", "money")

# Trains in a process of its own, and dies by SIGKILL at a given place.
DRIVER = """
import os, signal, sys
import transformers
from nearfar.training.run import train

place, step, recipe, model, data, held_out, out, *resume = sys.argv[1:]

def die_at(original):
    def wrapped(self, *args, **kwargs):
        state = next((a for a in args if hasattr(a, "global_step")), None) or self.state
        if state.global_step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *args, **kwargs)
    return wrapped

if place == "in a checkpoint":
    transformers.Trainer._save_rng_state = die_at(transformers.Trainer._save_rng_state)
elif place == "before the model is in place":
    import nearfar.writing as writing
    original = writing.os.replace
    def replace(source, target):
        if str(target).endswith("model"):
            os.kill(os.getpid(), signal.SIGKILL)
        original(source, target)
    writing.os.replace = replace

train(recipe, data, model=model, evaluation=held_out, out=out, resume=bool(resume), seed=3,
      batch_size=8, max_steps=12, epochs=9, save_steps=3, learning_rate=1e-3)
"""


def rows(start: int, stop: int) -> list[dict[str, str]]:
    return [
        {
            "anchor": f"{WORDS[i % 14]} {WORDS[i // 14 % 14]} a{i}",
            "positive": f"the {WORDS[i % 14]} {'and so ' * (i % 4)}{i}",
        }
        for i in range(start, stop)
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("resume")
    write_jsonl(rows(0, 44), folder / "train.jsonl")  # five steps an epoch: the kills fall into the second and third
    write_jsonl(rows(44, 64), folder / "held-out.jsonl")
    (folder / "driver.py").write_text(DRIVER)
    pairs = folder / "train.jsonl"
    return {"folder": folder, "infonce": pairs}


def run(
    files: dict[str, Path],
    model: Path,
    recipe: str,
    out: str,
    place: str = "never",
    step: int = 0,
    resume: bool = False,
) -> int:
    arguments = [place, step, recipe, model, files[recipe], files["folder"] / "held-out.jsonl", files["folder"] / out]
    command = [sys.executable, files["folder"] / "driver.py", *arguments, *(["resume"] if resume else [])]
    return subprocess.run(list(map(str, command)), capture_output=True, timeout=300).returncode


def result(files: dict[str, Path], out: str) -> tuple[str, dict]:
    folder = files["folder"] / out
    weights = hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()
    return weights, json.loads((folder / "metrics.json").read_text())


@pytest.mark.slow
def test_killed_while_files_are_written_and_resumed_ends_the_same(files, tiny_model_folder) -> None:
    assert run(files, tiny_model_folder, "infonce", "whole") == 0
    expected = result(files, "whole")
    for number, (place, step) in enumerate([("in a checkpoint", 9), ("before the model is in place", 0)]):
        died = run(files, tiny_model_folder, "infonce", "killed", place, step, resume=number > 0)
        assert died == -signal.SIGKILL, f"{place}: the process was to be killed"
        assert not (files["folder"] / "killed" / "metrics.json").exists()
    assert run(files, tiny_model_folder, "infonce", "killed", resume=True) == 0
    assert result(files, "killed") == expected
    weights, metrics = expected
    assert metrics["steps"] == 12
    assert weights != hashlib.sha256((tiny_model_folder / "model.safetensors").read_bytes()).hexdigest()

"""A run that is killed and resumed ends where the run that was not killed ends, bit for bit."""

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
from nearfar.kinds import _trainer
from nearfar.training.run import train

place, step, recipe, model, data, held_out, out, *resume = sys.argv[1:]

def die_at(original):
    def wrapped(self, *args, **kwargs):
        state = next((a for a in args if hasattr(a, "global_step")), None) or self.state
        if state.global_step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *args, **kwargs)
    return wrapped

if place == "after a step":
    trainer.MarkComplete.on_step_end = die_at(trainer.MarkComplete.on_step_end)
elif place == "in a checkpoint":
    trainer.Trainer._save_rng_state = die_at(trainer.Trainer._save_rng_state)
elif place == "before the model is in place":
    import nearfar.writing as writing
    original = writing.os.replace
    def replace(source, target):
        if str(target).endswith("model"):
            os.kill(os.getpid(), signal.SIGKILL)
        original(source, target)
    writing.os.replace = replace
elif place == "after a step of the second stage":
    original = trainer.MarkComplete.on_step_end
    def on_step_end(self, args, state, control, **rest):
        if args.output_dir.endswith("stage-2") and state.global_step == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, args, state, control, **rest)
    trainer.MarkComplete.on_step_end = on_step_end

if recipe == "staged":
    from dataclasses import replace
    from pathlib import Path
    import torch
    from nearfar.recipes import get

    def prepare(model, rows, options):
        first = {name: weight.clone() for name, weight in model.state_dict().items()}
        plan = get("infonce").prepare(model, rows, options)
        def then():
            # Starts over from what the first stage began with, moved a little towards what it found.
            found = model.state_dict()
            model.load_state_dict({name: torch.lerp(first[name], found[name], 0.1) if first[name].is_floating_point()
                                   else first[name] for name in first})
            return get("infonce").prepare(model, rows, options)
        save = lambda folder: Path(folder, "beside.txt").write_text("written with the model")
        return replace(plan, then=lambda: replace(then(), save=save))

    recipe = replace(get("infonce"), name="staged", prepare=prepare)

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
    write_jsonl([{"text": row["positive"]} for row in rows(0, 44)], folder / "texts.jsonl")
    (folder / "driver.py").write_text(DRIVER)
    pairs = folder / "train.jsonl"
    return {"folder": folder, "infonce": pairs, "staged": pairs, "simcse": folder / "texts.jsonl"}


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
@pytest.mark.parametrize(
    ("recipe", "kills"),
    [
        ("infonce", [("after a step", 8), ("in a checkpoint", 9), ("before the model is in place", 0)]),
        ("simcse", [("in a checkpoint", 6)]),
        ("staged", [("after a step of the second stage", 2), ("after a step of the second stage", 8)]),
    ],
)
def test_killed_and_resumed_ends_the_same(files, tiny_model_folder, recipe, kills) -> None:
    assert run(files, tiny_model_folder, recipe, f"{recipe}-whole") == 0
    expected = result(files, f"{recipe}-whole")

    out = f"{recipe}-killed"
    for number, (place, step) in enumerate(kills):
        died = run(files, tiny_model_folder, recipe, out, place, step, resume=number > 0)
        assert died == -signal.SIGKILL, f"{place}: the process was to be killed"
        assert not (files["folder"] / out / "metrics.json").exists()
    assert run(files, tiny_model_folder, recipe, out, resume=True) == 0
    assert result(files, out) == expected

    weights, metrics = expected
    assert metrics["steps"] == (24 if recipe == "staged" else 12)
    assert (files["folder"] / out / "model" / "beside.txt").exists() == (recipe == "staged")
    assert weights != hashlib.sha256((tiny_model_folder / "model.safetensors").read_bytes()).hexdigest()

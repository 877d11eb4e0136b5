"""`nearfar compare` with real processes: killed in the middle, it goes on to the same result."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nearfar
from jobs_here import jobs_here
from nearfar.comparison.jobs import Job, run_job
from nearfar.data import write_jsonl

NOUNS = ("cat", "dog", "bird", "fish", "tree", "sun", "rain", "bank")


SETTINGS = {"max_steps": 200, "batch_size": 8, "save_steps": 10, "learning_rate": 1e-3}
CALL = "import json, sys, nearfar; nearfar.compare(['infonce'], **json.loads(sys.argv[1]))"


def weights(run: Path) -> str:
    return hashlib.sha256((run / "model/model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_killed_and_resumed(tmp_path: Path, tiny_model_folder: Path):
    noun_pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b]
    rows = [{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in noun_pairs]
    write_jsonl(rows[:40], tmp_path / "train.jsonl")
    write_jsonl(rows[40:], tmp_path / "held.jsonl")
    folder = tmp_path / "out"
    asked = {"data": str(tmp_path / "train.jsonl"), "evaluate_on": str(tmp_path / "held.jsonl"), "seeds": 1}
    asked |= {"model": str(tiny_model_folder), "out": str(folder), **SETTINGS}

    process = subprocess.Popen([sys.executable, "-c", CALL, json.dumps(asked)], stderr=subprocess.DEVNULL)
    run = folder / "runs/infonce-0"
    wait_for(lambda: any(run.glob("checkpoints/checkpoint-*/complete")), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The run that it had started ends by itself, and is not finished.
    wait_for(lambda: not alive(folder), None)
    assert not (run / "metrics.json").exists()
    base = (folder / "results/base.json").stat().st_mtime_ns

    found = nearfar.compare(["infonce"], resume=True, **asked)  # pyright: ignore[reportArgumentType]
    assert (folder / "results/base.json").stat().st_mtime_ns == base
    assert {row.name: row.cost.steps for row in found.ranking} == {"infonce": 200, "base": 0}
    assert json.loads((folder / "results/infonce-0.json").read_text("utf-8"))["cost"]["resumed"]
    nearfar.train(
        "infonce", folder / "data/training.parquet", model=tiny_model_folder, out=tmp_path / "whole", **SETTINGS
    )
    assert weights(run) == weights(tmp_path / "whole")


@pytest.mark.slow
def test_a_search_is_killed_in_the_middle_of_a_rung(tmp_path: Path, tiny_model_folder: Path):
    noun_pairs = [(a, b) for a in NOUNS for b in NOUNS if a != b]
    rows = [{"anchor": f"the {a} sits on a {b}", "positive": f"a {a} in the {b}"} for a, b in noun_pairs]
    write_jsonl(rows, tmp_path / "rows.jsonl")
    asked = {
        "data": str(tmp_path / "rows.jsonl"),
        "seeds": 1,
        "model": str(tiny_model_folder),
        "held_out": 0.3,
        "keep": "none",
    }
    asked |= {"search": {"learning_rate": [1e-4, 1e-2]}, "max_steps": 40, "batch_size": 4, "save_steps": 5}
    folder, whole = tmp_path / "out", tmp_path / "whole"

    process = subprocess.Popen(
        [sys.executable, "-c", CALL, json.dumps({**asked, "out": str(folder)})], stderr=subprocess.DEVNULL
    )
    runs = "rungs/1/runs/infonce+learning_rate=0.01-0"
    wait_for(lambda: any(folder.glob(f"{runs}/checkpoints/checkpoint-*/complete")), process, seconds=900)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not alive(folder), None)
    kept = {file: file.stat().st_mtime_ns for file in folder.glob("rungs/1/results/*")}
    assert len(kept) == 1

    with pytest.MonkeyPatch.context() as patch:
        jobs_here(patch)
        found = nearfar.compare("infonce", resume=True, out=folder, **asked)  # pyright: ignore[reportArgumentType]
        again = nearfar.compare("infonce", out=whole, **asked)  # pyright: ignore[reportArgumentType]
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    (resumed,) = [
        each
        for each in (json.loads(file.read_text("utf-8")) for file in folder.glob("rungs/1/results/*"))
        if each["cost"]["resumed"]
    ]
    assert resumed["cost"]["steps"] == 40
    assert [(row.name, row.by_seed, row.score) for row in found.ranking] == [
        (row.name, row.by_seed, row.score) for row in again.ranking
    ]
    assert found.metrics["rungs"] == again.metrics["rungs"]


def test_a_process_that_fails(tmp_path: Path):
    job = Job("x", None, "nowhere", "", "", None, str(tmp_path / "run"), str(tmp_path / "x.json"), 0, {})
    failed = run_job(job, tmp_path / "logs")
    assert failed is not None
    assert failed.refused
    assert "nowhere" in failed.reason
    assert not failed.reason.startswith("nearfar")
    assert failed.reason in (tmp_path / "logs/x.log").read_text()


def wait_for(condition, process: subprocess.Popen[bytes] | None, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(folder: Path) -> bool:
    """Whether a process works for a comparison."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                found.append((entry / "cmdline").read_bytes())
            except OSError:
                continue
    return any(str(folder).encode() in line for line in found)

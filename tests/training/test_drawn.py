"""A run counts what it draws: steps, schedule, checkpoints and what it says of rows that it leaves out."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nearfar.cli.app import run as cli
from nearfar.data import write_jsonl
from nearfar.training.run import train


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_jsonl(
        [{"anchor": f"the cat {i}", "positive": "the same" if i < 65 else f"dog {i}"} for i in range(80)],
        tmp_path / "shared.jsonl",
    )
    write_jsonl(
        [{"text": f"the cat {i}", "label": "big" if i < 70 else "small"} for i in range(78)],
        tmp_path / "labels.jsonl",
    )
    # Twelve answers, eight of them to three questions each: the batches of an epoch differ in number.
    write_jsonl([{"anchor": f"cat {i % 19}", "positive": f"dog {i % 7}"} for i in range(60)], tmp_path / "uneven.jsonl")
    return tmp_path


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_steps_and_schedule_end_together_and_rows_left_out_are_said(
    files: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = files / "out"
    settings = [part for each in ("batch_size=8", "epochs=3", "save_steps=4") for part in ("--set", each)]
    arguments = ["--data", str(files / "shared.jsonl"), "--model", str(tiny_model_folder), "--out", str(out)]
    assert cli(["train", "infonce", *arguments, *settings, "--keep-checkpoints"]) == 0
    note = "62 of 80 rows are left out of each epoch: rows that share a text cannot be in one batch"
    errors = capsys.readouterr().err
    assert errors.count(note) == 1
    assert "9 of 9" in errors
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["steps"] == 9
    (drawn,) = metrics["drawn"]
    assert (drawn["rows"], drawn["rows_per_epoch"], drawn["rows_in_all"]) == (80, 18, 54)
    assert [each["rows"] for each in drawn["left_out"]] == [62]
    assert note in (out / "report.html").read_text()
    state = json.loads((out / "checkpoints" / "checkpoint-8" / "trainer_state.json").read_text())
    assert state["max_steps"] == 9
    assert state["epoch"] == pytest.approx(2 + 2 / 3)
    rates = [entry["learning_rate"] for entry in state["log_history"] if "learning_rate" in entry]
    # One step of warm-up, then down to 0 behind the last step.
    assert rates == pytest.approx([0, *(2e-5 * (8 - step) / 8 for step in range(7))])


@pytest.mark.parametrize("name", ["shared", "uneven", "labels"])
def test_a_run_that_was_resumed_ends_as_one_that_was_not(name: str, files: Path, tiny_model_folder: Path) -> None:
    options: dict[str, Any] = {"epochs": 4, "batch_size": 8, "save_steps": 2, "seed": 3, "learning_rate": 1e-3}
    data, out = files / f"{name}.jsonl", files / "whole"
    whole = train("infonce", data, model=tiny_model_folder, out=out, keep_checkpoints=True, **options)
    saved = sorted((out / "checkpoints").glob("checkpoint-*"), key=lambda folder: int(folder.name[11:]))
    early = files / "early"
    shutil.copytree(out, early, ignore=shutil.ignore_patterns(saved[-1].name, "model", "metrics.json", "report.html"))
    again = train("infonce", data, model=tiny_model_folder, out=early, resume=True, **options)
    assert again.metrics == whole.metrics
    assert weights(early) == weights(out)


@pytest.mark.slow
def test_two_processes_end_together(files: Path, tiny_model_folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    worker = Path(__file__).with_name("drawn_worker.py")
    arguments = [str(files), str(tiny_model_folder), str(port)]
    started = [
        subprocess.Popen([sys.executable, str(worker), str(rank), "2", *arguments], stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=400)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], said
    # A batch of 16 for both, in which a text is only once; of the other rows, no two can be in one batch.
    metrics = json.loads((files / "run-shared" / "metrics.json").read_text())
    assert metrics["steps"] == 2
    (drawn,) = metrics["drawn"]
    assert drawn["rows_in_all"] == 2 * 16
    assert [each["rows"] for each in drawn["left_out"]] == [64]
    metrics = json.loads((files / "run-labels" / "metrics.json").read_text())
    assert metrics["steps"] == 2 * 4

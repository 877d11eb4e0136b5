"""`nearfar sweep`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from .conftest import Nearfar

SMALL = "--set max_steps=2 --set batch_size=4 --model tiny"


def test_sweep(workspace: Path, nearfar: Nearfar):
    asked = f"sweep behaviour --data labelled.jsonl --eval labelled.jsonl --temperatures 0.1,1 --line loss=hard {SMALL}"
    shown = nearfar(*shlex.split(asked))
    assert shown.code == 0, shown
    assert "loss=hard" in shown.out
    assert shown.out.splitlines()[-1] == f"report  {Path('runs/sweep/report.html')}"
    assert (workspace / "runs/sweep/report.html").read_text("utf-8").count("<svg") >= 3
    again = nearfar(*shlex.split(f"{asked} --resume --json")).json
    assert [(run["name"], run["temperature"]) for run in again["runs"]] == [("loss=hard", 0.1), ("loss=hard", 1.0)]
    metrics = json.loads((workspace / "runs/sweep/loss=hard-1/metrics.json").read_text("utf-8"))
    assert again["runs"][1]["accuracy"] == metrics["after"]["metrics"]["accuracy_logistic"]


def test_sweep_bad_input(workspace: Path, nearfar: Nearfar):
    for arguments, words in (
        ("behaviour --data labelled.jsonl --eval labelled.jsonl --temperatures 0.1,x", ("temperatures", "0.1,x")),
        ("behaviour --data labelled.jsonl --eval labelled.jsonl --line loss=triplet", ("triplet",)),
        ("behaviour --data labelled.jsonl --eval pairs.jsonl", ("labelled texts", "pairs.jsonl")),
        ("lost --data labelled.jsonl --eval labelled.jsonl", ("temperature",)),
        ("behaviour --data labelled.jsonl", ("--eval",)),
    ):
        ended = nearfar("sweep", *shlex.split(arguments))
        assert (ended.code, ended.out) == (2, ""), arguments
        assert ended.err.count("\n") == 1, ended.err
        assert all(word in ended.err for word in words), ended.err
    assert not (workspace / "runs").exists()

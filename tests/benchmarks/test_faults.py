"""A short part of the test of faults, and that the test finds what it looks for."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def faults(out: Path, *arguments: str, driver: str = "") -> tuple[int, str, dict]:
    """Run the test of faults, with code before it."""
    script = f"import sys, runpy\nsys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n{driver}\n"
    script += f"runpy.run_path({str(ROOT / 'benchmarks' / 'faults.py')!r}, run_name='__main__')\n"
    file = out.with_suffix(".py")
    file.write_text(script)
    done = subprocess.run(
        [sys.executable, str(file), "--minutes", "0", "--at-least", "6", "--out", str(out), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert out.exists(), done.stdout + done.stderr
    return done.returncode, done.stdout, json.loads(out.read_text())


@pytest.mark.slow
def test_commands_that_meet_a_fault_leave_the_old_the_new_or_what_can_be_resumed(tmp_path: Path) -> None:
    names = ["encode", "search", "refine rationales"]
    code, said, found = faults(tmp_path / "faults.json", *(word for name in names for word in ("--command", name)))
    assert code == 0, said
    assert found["failures"] == []
    assert found["tried"] == found["survived"] == 6 * len(names)
    assert set(found["by_command"]) == set(names)


# What a careless way to write would be: the old vectors are gone before the new ones are there, and nobody locks.
CARELESS = """
import contextlib, os
import nearfar.models.encoding_files as files
@contextlib.contextmanager
def in_place(path):
    path.unlink(missing_ok=True)
    path.touch()
    yield path
@contextlib.contextmanager
def unlocked(path):
    path.with_name(f".{path.name}.left").touch()
    yield
files.draft_of, files.file_claimed = in_place, unlocked
"""


@pytest.mark.slow
def test_careless_writing_does_not_survive(tmp_path: Path) -> None:
    code, said, found = faults(tmp_path / "faults.json", "--command", "encode", driver=CARELESS)
    assert code == 1, said
    assert found["survived"] < found["tried"]
    problems = {each["problem"] for each in found["failures"]}
    assert any(problem.startswith("left behind: .v.npy.left") for problem in problems)


def test_the_committed_figures_contain_every_command_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "faults.json").read_text())
    assert found["failures"] == []
    assert found["tried"] == found["survived"] > 100
    counts = [of for faults in found["by_command"].values() for of in faults.values()]
    assert found["tried"] == sum(of["tried"] for of in counts)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    # The slowest ones are not measured on each machine.
    slow = {"compare --search", "export --for onnx"}
    commands = set(importlib.import_module("faults").commands())
    assert commands - slow <= set(found["by_command"]) <= commands
    assert sorted(found["by_command"]) == sorted(name for run in found["runs"] for name in run["commands"])
    assert "SIGKILL" in found["by_command"]["train"]


def test_a_run_of_some_commands_keeps_the_counts_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    merged = importlib.import_module("faults").merged

    def result(survived: int, run: dict, names: list[str], failures: list[dict]) -> dict:
        counts = {name: {"SIGKILL": {"tried": 5, "survived": survived}} for name in names}
        run = {**run, "commands": names}
        return {"tried": 5 * len(names), "survived": survived * len(names), "by_command": counts} | {
            "failures": failures,
            "runs": [run],
        }

    failed = {"command": "fuse", "fault": "SIGKILL", "how": "after 1 s", "problem": "left behind: .x"}
    before = result(4, {"date": "first"}, ["fuse", "mine", "no longer a command"], [failed])
    found = merged(before, result(5, {"date": "second"}, ["fuse", "push --dry-run"], []))
    assert found["by_command"]["fuse"]["SIGKILL"]["survived"] == 5
    assert list(found["by_command"]) == ["mine", "fuse", "push --dry-run"]
    assert (found["tried"], found["survived"], found["failures"]) == (15, 14, [])
    assert found["runs"] == [
        {"date": "first", "commands": ["mine"]},
        {"date": "second", "commands": ["fuse", "push --dry-run"]},
    ]
    # A run whose commands were all tried again is not listed any more.
    assert [run["date"] for run in merged(found, result(5, {"date": "third"}, ["mine"], []))["runs"]] == [
        "second",
        "third",
    ]

"""A short part of the test of faults, and that the test finds what it looks for."""

from __future__ import annotations

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


def test_the_committed_figures_hold_every_command_and_no_failure() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "faults.json").read_text())
    assert found["failures"] == []
    assert found["tried"] == found["survived"] > 100
    assert {"train", "compare", "encode", "search", "flow", "fuse", "inspect"} <= set(found["by_command"])
    assert "SIGKILL" in found["by_command"]["train"]

"""A job's process: what it says, how it ends, and what of that is passed on. The processes are scripts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nearfar.comparison import jobs
from nearfar.comparison.jobs import Job, is_done, result_of, run_job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job("x", "infonce", "minilm", "", "", None, str(tmp_path / "run"), str(tmp_path / "x.json"), 0, {"a": "ü"})


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sets the script that stands in for Python; it is called with `-m`, the worker's module and the description."""

    def script(text: str) -> None:
        file = tmp_path / "process"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        monkeypatch.setattr(jobs.sys, "executable", str(file))

    return script


def test_a_job_with_a_result_is_done_however_it_ended(job: Job, process, tmp_path: Path):
    process(f"""cp "$3" {tmp_path}/given.json; echo '{{"score": 1}}' > {job.result}; exit 3""")
    assert not is_done(job)
    assert run_job(job, tmp_path / "logs") is None
    assert is_done(job)
    assert result_of(job) == {"score": 1}
    given = json.loads((tmp_path / "given.json").read_text("utf-8"))
    assert (given["recipe"], given["settings"], given["trial"]) == ("infonce", {"a": "ü"}, 0)


def test_steps_are_passed_on_and_other_lines_are_not(job: Job, process, tmp_path: Path):
    lines = ['{"step": 1, "of": 4, "loss": 0.5}', "a library says", '{"step": 2}', "[1]", "7",
             '{"step": 2, "of": 4, "loss": null}']  # fmt: skip
    process("\n".join(f"echo '{line}'" for line in lines) + f"; echo '{{}}' > {job.result}")
    seen: list[tuple[int, int, float | None]] = []
    assert run_job(job, tmp_path / "logs", lambda *step: seen.append(step)) is None
    assert seen == [(1, 4, 0.5), (2, 4, None)]


@pytest.mark.parametrize(("code", "refused"), [(2, True), (1, False), (3, False), (0, False)])
def test_exit_code_2_is_wrong_input(code: int, refused: bool, job: Job, process, tmp_path: Path):
    process(f"echo first >&2; echo 'nearfar: the last' >&2; echo >&2; exit {code}")
    failed = run_job(job, tmp_path / "logs")
    assert failed == ("the last", refused)
    assert "first" in (tmp_path / "logs/x.log").read_text()


def test_what_libraries_print_at_exit_is_not_the_reason(job: Job, process, tmp_path: Path):
    process("echo 'nearfar: the reason' >&2; echo 'a library: leaked' >&2; exit 2")
    assert run_job(job, tmp_path / "logs") == ("the reason", True)


def test_a_long_last_line_is_cut_and_a_silent_end_has_its_code(job: Job, process, tmp_path: Path):
    process("printf '%0.s-' $(seq 3000) >&2; exit 1")
    failed = run_job(job, tmp_path / "logs")
    assert failed is not None
    assert 100 < len(failed.reason) < 1000
    process("exit 7")
    failed = run_job(job, tmp_path / "logs")
    assert failed is not None
    assert "7" in failed.reason


def test_a_killed_process_may_have_had_no_memory(job: Job, process, tmp_path: Path):
    reasons = {}
    for name in ("KILL", "TERM"):
        process(f"echo noise >&2; kill -{name} $$")
        failed = run_job(job, tmp_path / "logs")
        assert failed is not None
        assert not failed.refused
        assert f"SIG{name}" in failed.reason
        reasons[name] = failed.reason
    assert "memory" in reasons["KILL"]
    assert "memory" not in reasons["TERM"]


def test_the_process_finds_this_package_and_nothing_of_the_folder_it_runs_in(
    job: Job, process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    process('echo "$PYTHONPATH $PYTHONSAFEPATH $1 $2" >&2')
    failed = run_job(job, tmp_path / "logs")
    assert failed is not None
    path, safe, *command = failed.reason.split()
    assert path.split(os.pathsep) == [str(Path(jobs.__file__).parents[2]), "/theirs"]
    assert safe == "1"
    assert command == ["-m", "nearfar.comparison.worker"]

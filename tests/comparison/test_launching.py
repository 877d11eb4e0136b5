"""A launcher starts the processes of a comparison: its command, how it ends, and what of that is reported."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nearfar.cli.app import run as command
from nearfar.comparison import jobs
from nearfar.comparison.jobs import Job, end_all, run_job
from nearfar.comparison.launching import Launcher
from nearfar.comparison.request import Request
from nearfar.data import write_jsonl
from nearfar.errors import InputError
from nearfar.recipes import get

STARTED = ["python", "-m", "module", "/a b/x.json"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", STARTED),
        ("env NOTE=1 {}", ["env", "NOTE=1", *STARTED]),
        ("env -- {} last", ["env", "--", *STARTED, "last"]),
        ('sh -c "cd / && {}"', ["sh", "-c", "cd / && python -m module '/a b/x.json'"]),
        ('env --wrap "{}" {}', ["env", "--wrap", "python -m module '/a b/x.json'", *STARTED]),
        ("env a\"b 'c\" d '{}'", ["env", "ab 'c", "d", "python -m module '/a b/x.json'"]),
        ('env --wrap="{}"', ["env", "--wrap=python -m module '/a b/x.json'"]),
        # Nothing of it is read by a shell.
        ("env A=$HOME;ls {}", ["env", "A=$HOME;ls", *STARTED]),
    ],
)
def test_the_command_takes_its_place(text: str, expected: list[str]) -> None:
    assert Launcher.of(text).command(STARTED) == expected


@pytest.mark.parametrize("text", ["", "env", 'env "{}', "no-such-program {}"])
def test_a_launcher_that_starts_nothing_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Launcher.of(text)
    assert caught.value.field == "--launcher"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"parallel": 2}, "--parallel"),
        ({"parallel": 0}, "--parallel"),
        ({"launcher": "env {}", "budget": 5.0}, "--budget"),
        ({"launcher": "env"}, "--launcher"),
    ],
)
def test_what_contradicts_a_launcher_is_refused(settings: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Request([get("infonce")], "rows.jsonl", **settings).check()  # pyright: ignore[reportArgumentType]
    assert caught.value.field == field


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(jobs, "_PATIENCE", 0.3)
    return Job("x", "infonce", "minilm", "", "", None, str(tmp_path / "run"), str(tmp_path / "x.json"), 0, {})


def script(tmp_path: Path, text: str) -> str:
    """A launcher of these lines of sh, to which the command of the worker is given."""
    file = tmp_path / "launcher"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return f"{file} {{}}"


def test_steps_and_other_lines_come_through_the_launcher(job: Job, tmp_path: Path) -> None:
    lines = """read line; echo '{"step": 1, "of": 2, "loss": null}'; echo "job 7 runs $2 $3" """
    launcher = script(tmp_path, f"{lines}; echo '{{}}' > {job.result}")
    seen: list[int] = []
    assert run_job(replace(job, launcher=launcher), tmp_path, lambda step, of, loss: seen.append(step)) is None
    assert seen == [1]
    assert (tmp_path / "x.log").read_text() == "job 7 runs -m nearfar.comparison.worker\n"
    assert json.loads((tmp_path / "x.json").read_text()) == {}


@pytest.mark.parametrize(
    ("text", "words", "refused"),
    [
        ("echo no such queue; exit 1", ("exit code 1", "no such queue"), False),
        ("echo usage >&2; exit 2", ("exit code 2", "usage"), False),
        ("echo 'nearfar: bad rows' >&2; exit 2", ("bad rows",), True),
        ("kill -TERM $$", ("SIGTERM",), False),
        ("echo submitted; exit 0", ("must wait",), False),
    ],
)
def test_a_launcher_that_fails_or_does_not_wait(
    text: str, words: tuple[str, ...], refused: bool, job: Job, tmp_path: Path
) -> None:
    failed = run_job(replace(job, launcher=script(tmp_path, text)), tmp_path / "logs")
    assert failed is not None
    assert all(word in failed.reason for word in words)
    assert failed.refused == refused


def test_a_result_may_appear_late(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PATIENCE", 30.0)
    late = f"(sleep 0.5; echo '{{}}' > {job.result}) > /dev/null 2>&1 &"
    assert run_job(replace(job, launcher=script(tmp_path, late)), tmp_path / "logs") is None


def test_what_runs_in_other_threads_can_be_ended(job: Job, tmp_path: Path) -> None:
    from threading import Thread

    found: list[object] = []
    launched = replace(job, launcher=script(tmp_path, "exec sleep 60"))
    thread = Thread(target=lambda: found.append(run_job(launched, tmp_path / "logs")))
    thread.start()
    until = time.monotonic() + 30
    while not jobs._running and time.monotonic() < until:
        time.sleep(0.01)
    end_all()
    thread.join(30)
    assert found
    assert not jobs._running


@pytest.mark.slow
def test_a_comparison_through_launchers(
    tmp_path: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"anchor": f"the {a} sits", "positive": f"a {a} in the rain"}
        for a in ["cat", "dog", "bird", "fish", "tree", "sun"]
    ]
    write_jsonl(
        [{key: f"{text} {i}" for key, text in row.items()} for row in rows for i in range(6)], tmp_path / "rows.jsonl"
    )
    noted, broken = tmp_path / "noted", tmp_path / "broken"
    worker = f'echo "$NOTE" >> {noted}; exec "$@"'
    arguments = ["compare", "infonce", "--data", str(tmp_path / "rows.jsonl"), "--model", str(tiny_model_folder)]
    arguments += ["--seeds", "2", "--set", "max_steps=2", "--set", "batch_size=4", "--out", str(tmp_path / "out")]
    # Its stdin is not that of the comparison, as on another host.
    script(tmp_path, f"[ -e {broken} ] || {{ touch {broken}; exit 3; }}\n{worker} < /dev/null")
    launcher = f"env NOTE=1 {tmp_path / 'launcher'} {{}}"
    assert command([*arguments, "--launcher", launcher]) == 1
    assert "exit code 3" in capsys.readouterr().err
    assert command([*arguments, "--resume", "--launcher", launcher, "--parallel", "2"]) == 0
    assert noted.read_text() == "1\n" * 3
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [row["name"] for row in metrics["ranking"] if row["name"] != "base"] == ["infonce"]
    assert metrics["seeds"] == 2
    described = json.loads((tmp_path / "out" / "logs" / "infonce-1.json").read_text())
    assert described["launcher"] == launcher

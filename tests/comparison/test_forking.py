"""Workers that are forked: they end as a process of their own would, and so does what forks them."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import fingerprint

from nearfar.comparison import fork_server, forking, jobs
from nearfar.comparison.forking import Forked, ForkServer, can_fork, running_server, wait_for_start, workers_forked
from nearfar.comparison.jobs import Job, run_job

pytestmark = pytest.mark.skipif(not can_fork(), reason="no worker can be forked here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison."""
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def context(folder: Path) -> Iterator[None]:
    # The tests may run in the background of a shell, which ignores Ctrl-C for them.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with workers_forked(folder):
        yield
        server = running_server()
    signal.signal(signal.SIGINT, before)
    assert server is not None
    assert not server.alive
    assert running_server() is None


@pytest.fixture
def server(context: None) -> ForkServer:
    found = running_server()
    assert found is not None
    return found


def started(server: ForkServer, tmp_path: Path) -> Forked:
    """A worker that waits for its description, which nobody writes."""
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "log").open("w") as errors:
        return server.start(tmp_path / "fifo", errors)


@pytest.fixture
def waiting(server: ForkServer, tmp_path: Path) -> Iterator[Forked]:
    child = started(server, tmp_path)
    yield child
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()


def test_the_end_of_a_worker(server: ForkServer, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as errors:
        child = server.start(tmp_path / "missing.json", errors)
    assert child.stdout.read() == ""
    assert (child.wait(), child.poll()) == (1, 1)
    child.kill()  # of a process that has ended
    child.stdin.close()
    child.stdout.close()
    assert "missing.json" in (tmp_path / "log").read_text()
    assert server.alive


@pytest.mark.parametrize("name", ["terminate", "kill"])
def test_a_worker_is_ended_by_a_signal(name: str, waiting: Forked) -> None:
    assert waiting.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.05)
    getattr(waiting, name)()
    assert waiting.wait(60) == {"terminate": -signal.SIGTERM, "kill": -signal.SIGKILL}[name]
    assert waiting.stdout.read() == ""


def test_a_worker_is_interrupted_and_the_server_is_not(server: ForkServer, waiting: Forked) -> None:
    os.kill(server._process.pid, signal.SIGINT)
    until = time.monotonic() + 60
    while waiting.poll() is None and time.monotonic() < until:  # one in its first moments does not notice it
        waiting._send(signal.SIGINT)
        time.sleep(0.05)
    assert waiting.poll() not in (None, 0)
    assert server.alive


def test_jobs_are_forked_also_after_the_server_was_killed(server: ForkServer, folder: Path, tmp_path: Path) -> None:
    job = Job("x", None, "nowhere", "", "", None, str(tmp_path / "run"), str(tmp_path / "x.json"), 0, {})
    wait_for_start()
    assert str(folder) in Path(f"/proc/{server._process.pid}/cmdline").read_text()
    first = run_job(job, tmp_path / "logs")
    assert first is not None
    assert (tmp_path / "logs/x.log").read_text().splitlines()[-1].endswith(first.reason)
    assert first.refused
    assert "nowhere" in first.reason
    assert running_server() is server
    child = started(server, tmp_path)
    server._process.kill()
    assert child.wait(60) == -signal.SIGKILL
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.stdin.close()
    child.stdout.close()
    assert run_job(job, tmp_path / "logs") == first
    assert running_server() is not server


def test_what_the_server_imports_exists() -> None:
    assert all(importlib.util.find_spec(name) for name in fork_server.IMPORTED)


def test_every_worker_has_random_numbers_of_its_own() -> None:
    found = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        fingerprint.fingerprint_rng.seed(0)
        fork_server._seed()
        found.append(
            (random.random(), np.random.rand(), float(torch.rand(())), fingerprint.generate_random_fingerprint())
        )
    assert all(one != other for one, other in zip(*found, strict=True))


def test_where_nothing_can_be_forked_each_job_has_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forking.sys, "platform", "darwin")
    assert not can_fork()
    monkeypatch.setattr(forking.sys, "platform", sys.platform)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    assert not can_fork()
    monkeypatch.setattr(forking, "ForkServer", None)
    monkeypatch.setattr(jobs.sys, "executable", "/bin/false")
    job = Job("x", None, "nowhere", "", "", None, str(tmp_path / "run"), str(tmp_path / "x.json"), 0, {})
    with workers_forked(tmp_path):
        wait_for_start()
        assert run_job(job, tmp_path / "logs") == ("exit code 1 without a message", False)

"""Starts processes with torchrun or accelerate on this machine, and ends all of them in time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def torchrun(
    *arguments: str, processes: int = 2, options: Sequence[str] = ("--standalone",), **variables: str
) -> subprocess.Popen[str]:
    """Start a script, or `-m` and a module, in so many processes; its output is in one pipe.

    Args:
        *arguments: The script and its arguments.
        processes: Processes on this host.
        options: Of torchrun itself.
        **variables: Of the environment.
    """
    starter = ["torch.distributed.run", *options, "--nproc-per-node", str(processes)]
    return _started([*starter, *arguments], variables)


def accelerate(*arguments: str, processes: int = 2) -> subprocess.Popen[str]:
    """The same with `accelerate launch`, which starts a single process with `--cpu`."""
    options = ["--multi_gpu", "--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no"]
    more = ["--dynamo_backend", "no", "--num_cpu_threads_per_process", "1", "--main_process_port", "0"]
    return _started(["accelerate.commands.launch", *options, *more, *arguments], {})


def free_port() -> int:
    """A port of this machine that nobody uses yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def host_of_two(*arguments: str, first: str) -> subprocess.Popen[str]:
    """One of two hosts with one process each, started by the script of the examples."""
    python = str(Path(sys.executable).parent)
    path = os.pathsep.join([python, os.environ.get("PATH", "")])
    script = Path(__file__).parents[1] / "examples" / "several_hosts.sh"
    return _process(["sh", str(script), *arguments], {"HOSTS": "2", "FIRST": first, "PATH": path})


def _started(module: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    return _process([sys.executable, "-m", *module], variables)


def _process(command: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **variables}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    )


def ended(started: subprocess.Popen[str], timeout: float = 400) -> tuple[int, str]:
    """The exit code and the output; a process that has not ended in time is killed with all that it started."""
    try:
        said, _ = started.communicate(timeout=timeout)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    return started.returncode, said

"""Workers that are forked from a process that has already imported what they need."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

__all__ = [
    "ForkServer",
    "Forked",
    "can_fork",
    "environment_of_workers",
    "running_server",
    "wait_for_start",
    "workers_forked",
]

#: Longest answer in bytes.
_LONGEST = 32
#: Maximum number of seconds until a process whose files are closed has ended.
_ENDS = 5.0


@contextmanager
def workers_forked(folder: Path) -> Iterator[None]:
    """Within it, `nearfar.comparison.jobs.run_job` forks its processes, where that is possible.

    Args:
        folder: The comparison's folder.
    """
    forks = _Forks(folder)
    before = _forks.set(forks)
    try:
        yield
    finally:
        _forks.reset(before)
        forks.close()


def running_server() -> ForkServer | None:
    """The server of the comparison that runs here, started if it is not running; None where nothing can be forked."""
    forks = _forks.get()
    return forks.running() if forks is not None and can_fork() else None


def wait_for_start() -> None:
    """Wait until the server has imported what workers need, so that the time of a job does not contain that.

    Returns at once where workers are not forked.
    """
    server = running_server()
    if server is not None:
        server.ready()


def environment_of_workers() -> dict[str, str]:
    """An environment in which a worker imports this package, and nothing from the current folder."""
    here = str(Path(__file__).parents[2])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def can_fork() -> bool:
    """Whether a worker can be forked here: on Linux, and without an accelerator, whose driver allows no fork."""
    if sys.platform != "linux":
        return False
    import torch

    return not torch.accelerator.is_available()


class Forked:
    """A forked worker, with what is needed of `subprocess.Popen`.

    Args:
        server: The process that forked it. If it ends without saying the worker's exit code, its own is used instead.
        status: The socket on which the server says the worker's process id, and then its exit code.
        stdin, stdout: The worker's.
    """

    def __init__(self, server: subprocess.Popen[bytes], status: socket.socket, stdin: IO[str], stdout: IO[str]) -> None:
        self._server, self._status, self.stdin, self.stdout = server, status, stdin, stdout
        self._code: int | None = None
        #: The process id; None if the server ended before it forked.
        self.pid = self._said()
        if self.pid is None:
            self._lost()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._code is None:
            with suppress(BlockingIOError):
                self._ended(socket.MSG_DONTWAIT)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code.

        Raises:
            subprocess.TimeoutExpired: It has not ended after so many seconds.
        """
        if self._code is None:
            self._status.settimeout(timeout)
            try:
                self._ended()
            except TimeoutError as error:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0) from error
            finally:
                self._status.settimeout(None)
        assert self._code is not None
        return self._code

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.poll() is None and self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _ended(self, flags: int = 0) -> None:
        self._code = self._said(flags)
        if self._code is None:
            self._lost()

    def _said(self, flags: int = 0) -> int | None:
        """The next number that the server says; None if it says no more."""
        try:
            found = self._status.recv(_LONGEST, flags)
        except ConnectionError:
            return None
        return int(found) if found else None

    def _lost(self) -> None:
        try:
            self._code = self._server.wait(_ENDS) or 1
        except subprocess.TimeoutExpired:  # it lives, and has said the code to nobody: an interrupt came in between
            self._code = 1


class ForkServer:
    """Starts workers, one at a time; see `nearfar.comparison.fork_server`.

    Args:
        folder: The comparison's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            end = theirs.fileno()
            command = [sys.executable, "-m", "nearfar.comparison.fork_server", str(end), str(folder)]
            null = subprocess.DEVNULL
            environment = environment_of_workers()
            self._process = subprocess.Popen(
                command, stdin=null, stdout=null, stderr=null, env=environment, pass_fds=[end]
            )
        self._ready = False

    @property
    def alive(self) -> bool:
        """Whether it can start another worker."""
        return self._process.poll() is None

    def ready(self) -> None:
        """Wait until it has imported what workers need."""
        if not self._ready:
            with suppress(ConnectionError):  # it was killed, which `start` notices
                self._control.recv(_LONGEST)
            self._ready = True

    def start(self, description: Path, errors: IO[str]) -> Forked:
        """A worker for a job, whose stderr is `errors`."""
        self.ready()
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read_in, stdin = os.pipe()
        stdout, write_out = os.pipe()
        pipes = os.fdopen(stdin, "w", encoding="utf-8"), os.fdopen(stdout, encoding="utf-8")
        try:
            files = [read_in, write_out, errors.fileno(), theirs.fileno()]
            with theirs, suppress(ConnectionError):  # if it was killed, its exit code says so
                socket.send_fds(self._control, [str(description).encode()], files)
            for each in (read_in, write_out):
                os.close(each)
            return Forked(self._process, status, *pipes)
        except BaseException:
            # A worker that was forked ends with its stdin.
            for pipe in pipes:
                pipe.close()
            raise

    def close(self) -> None:
        """End the process, also while it still imports."""
        self._control.close()
        self._process.kill()
        self._process.wait()


class _Forks:
    """The server of a comparison, which is started when it is first needed, and again if it was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: ForkServer | None = None

    def running(self) -> ForkServer:
        if self.server is None or not self.server.alive:
            self.close()
            self.server = ForkServer(self.folder)
        return self.server

    def close(self) -> None:
        if self.server is not None:
            self.server.close()


_forks: ContextVar[_Forks | None] = ContextVar("forks", default=None)

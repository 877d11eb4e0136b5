"""Workers that are forked from a process that has already imported what they need."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["ForkServer", "Forked", "can_fork"]

#: Longest answer in bytes.
_LONGEST = 32


def can_fork() -> bool:
    """Whether a worker can be forked here: on Linux, and without an accelerator, whose driver allows no fork."""
    if sys.platform != "linux":
        return False
    import torch

    return not torch.accelerator.is_available()


class Forked:
    """A forked worker, with what is needed of `subprocess.Popen`.

    Args:
        server: The process that forks, and says on `control` the worker's process id and then its exit code. Its own
            exit code is the worker's, if it ends before it has said it.
        control: The socket.
        stdin, stdout: The worker's.
    """

    def __init__(
        self, server: subprocess.Popen[bytes], control: socket.socket, stdin: IO[str], stdout: IO[str]
    ) -> None:
        self._server, self._control, self.stdin, self.stdout = server, control, stdin, stdout
        self._code: int | None = None
        self.pid = self._answer()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._code is None:
            with suppress(BlockingIOError):
                self._code = self._answer(socket.MSG_DONTWAIT)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code.

        Raises:
            subprocess.TimeoutExpired: It has not ended after so many seconds.
        """
        if self._code is None:
            self._control.settimeout(timeout)
            try:
                self._code = self._answer()
            except TimeoutError as error:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0) from error
            finally:
                self._control.settimeout(None)
        return self._code

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _answer(self, flags: int = 0) -> int:
        said = self._control.recv(_LONGEST, flags)
        if said:
            return int(said)
        self._code = self._server.wait() or 1
        return self._code


class ForkServer:
    """Starts workers, one at a time; see `nearfar.comparison.fork_server`.

    Args:
        folder: The comparison's folder.
        environment: The workers' environment.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            end = theirs.fileno()
            command = [sys.executable, "-m", "nearfar.comparison.fork_server", str(end), str(folder)]
            null = subprocess.DEVNULL
            self._process = subprocess.Popen(
                command, stdin=null, stdout=null, stderr=null, env=environment, pass_fds=[end]
            )

        self._ready = False

    @property
    def alive(self) -> bool:
        """Whether it can start another worker."""
        return self._process.poll() is None

    def ready(self) -> None:
        """Wait until workers start in no time."""
        if not self._ready:
            self._control.recv(_LONGEST)
            self._ready = True

    def start(self, description: Path, errors: IO[str]) -> Forked:
        """A worker for a job, whose stderr is `errors`."""
        self.ready()
        read_in, stdin = os.pipe()
        stdout, write_out = os.pipe()
        with suppress(BrokenPipeError):  # if it has just ended, the worker's exit code says so
            socket.send_fds(self._control, [str(description).encode()], [read_in, write_out, errors.fileno()])
        os.close(read_in)
        os.close(write_out)
        pipes = os.fdopen(stdin, "w", encoding="utf-8"), os.fdopen(stdout, encoding="utf-8")
        return Forked(self._process, self._control, *pipes)

    def close(self) -> None:
        """End the process, also while it still imports."""
        self._control.close()
        self._process.kill()
        self._process.wait()

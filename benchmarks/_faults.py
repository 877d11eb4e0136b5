"""Commands that meet a fault: a signal at a chosen moment, a full disk, a folder that may only be read."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

#: A command that takes longer is stuck.
LIMIT = 300.0
_INSIDE = "NEARFAR_FAULTS_INSIDE"
#: What Python tells of before it changes a file or a folder.
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link")


class Ended(NamedTuple):
    """How a command ended: its exit code (minus the signal that ended it), what it said, seconds, changes of files."""

    code: int
    said: str
    seconds: float
    changes: int


class Trap(NamedTuple):
    """When a command gets a signal: after so many seconds, or right before so many changes of files."""

    signal: int
    seconds: float | None = None
    change: int | None = None


class Running:
    """A command of nearfar in a process that was forked off, so that it need not import torch once more.

    Args:
        arguments: Of the command line.
        folder: Its working directory.
        trap: The signal that it gets.
        limit: Bytes that a file may have (`RLIMIT_FSIZE`); None: any number.
    """

    def __init__(self, arguments: list[str], folder: Path, trap: Trap | None = None, limit: int | None = None) -> None:
        self.trap, self.started = trap, time.monotonic()
        self.log = folder.parent / f"{folder.name}.{time.monotonic_ns()}.log"
        self.counts = self.log.with_suffix(".count")
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setsid()
                code = _child(arguments, folder, trap, limit, self.log, self.counts)
            finally:
                os._exit(code)

    def end(self) -> Ended:
        """Wait for the end, and send the signal when it is time."""
        code, sent = None, self.trap is None or self.trap.seconds is None
        while code is None:
            spent = time.monotonic() - self.started
            if not sent and self.trap is not None and spent >= (self.trap.seconds or 0.0):
                sent = True
                with contextlib.suppress(ProcessLookupError):
                    # Ctrl-C reaches everything that the command has started; other signals are for the command alone.
                    (os.killpg if self.trap.signal == signal.SIGINT else os.kill)(self.pid, self.trap.signal)
            if spent > LIMIT:
                os.killpg(self.pid, signal.SIGKILL)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if pid else None
            time.sleep(0.002)
        said = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        changes = self.counts.stat().st_size if self.counts.exists() else 0
        for path in (self.log, self.counts):
            path.unlink(missing_ok=True)
        return Ended(code, said, time.monotonic() - self.started, changes)


def nearfar(arguments: list[str], folder: Path, trap: Trap | None = None, limit: int | None = None) -> Ended:
    """Run one command to its end."""
    return Running(arguments, folder, trap, limit).end()


def _child(arguments: list[str], folder: Path, trap: Trap | None, limit: int | None, log: Path, counts: Path) -> int:
    from nearfar.cli.app import run

    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    else:
        _count(folder, os.open(counts, os.O_CREAT | os.O_WRONLY), trap)
    code = run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _count(folder: Path, counts: int, trap: Trap | None) -> None:
    """Count changes of files in the folder, and send the signal before the chosen one."""
    seen = 0

    def hook(event: str, arguments: Any) -> None:
        nonlocal seen
        if event == "open":
            path, _, flags = arguments
            counted = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        elif event == "ctypes.dlsym":
            path, counted = folder, arguments[1] == "renameat2"
        else:
            path, counted = arguments[0] if arguments else None, event in _CHANGES
        if not counted or not isinstance(path, (str, bytes, os.PathLike)):
            return
        if not os.path.abspath(os.fsdecode(path)).startswith(f"{folder}{os.sep}") and path != folder:
            return
        seen += 1
        os.write(counts, b".")
        if trap is not None and seen == trap.change:
            os.kill(os.getpid(), trap.signal)

    sys.addaudithook(hook)


def enter_own_mounts() -> bool:
    """Start this script anew where it may mount folders that nobody else sees; whether it is there."""
    if os.environ.get(_INSIDE):
        return os.environ[_INSIDE] == "yes"
    for options in (["-m"], ["-rm"]):
        with contextlib.suppress(OSError):
            tried = ["unshare", *options, "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
            if subprocess.run(tried, capture_output=True).returncode == 0:
                os.environ[_INSIDE] = "yes"
                os.execvp("unshare", ["unshare", *options, sys.executable, *sys.orig_argv[1:]])
    os.environ[_INSIDE] = "no"
    return False


def mounted(*arguments: str) -> None:
    """Call `mount`."""
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Any:
    """For the length of the block the folder can only be read, also by root."""
    mounted("--bind", str(folder), str(folder))
    try:
        mounted("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


@contextlib.contextmanager
def small_disk(folder: Path, more: int, fill: Callable[[Path], None]) -> Any:
    """A file system of its own at `folder`, filled by `fill`, with `more` bytes free; yields a function to free it."""
    folder.mkdir()
    mounted("-t", "tmpfs", "-o", "size=256m", "none", str(folder))
    try:
        fill(folder)
        used = os.statvfs(folder)
        size = (used.f_blocks - used.f_bfree) * used.f_bsize + more
        mounted("-o", f"remount,size={max(size, 4096) // 1024 + 1}k", str(folder))
        yield lambda: mounted("-o", "remount,size=256m", str(folder))
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)
        folder.rmdir()

"""One process at a time for a file or a folder. The system releases the lock when its process ends, in any way."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path

from nearfar.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_logger = logging.getLogger(__name__)

#: Paths that this process has locked, and the thread: functions that it calls may lock the same path again.
_held: dict[Path, int] = {}
#: On Windows a locked byte cannot be read by others: this one is behind everything that is written.
_BYTE = 1 << 20
#: Others remove a lock file, or its folder, between two steps of ours; hardly ever so often in a row.
_ATTEMPTS = 100


@contextmanager
def locked(lock: Path, of: Path, field: str = "--out", *, wait: float = 0.0) -> Iterator[None]:
    """Lock `of` against all other processes during the block.

    The lock file is removed at the end, and so are the folders that were created for it if they are empty. A lock file
    of a killed process does not block. A thread may lock again what it has already locked.

    Args:
        lock: The lock file. It contains process, host and time, for the message to others.
        of: The locked file or folder, for the message.
        field: The option that names it.
        wait: Maximum number of seconds to wait.

    Raises:
        InputError: Another process has locked it.
        OSError: The lock file cannot be written.
    """
    lock = lock.absolute()
    if _held.get(lock) == threading.get_ident():
        yield
        return
    until = time.monotonic() + wait
    while (found := _acquire(lock)) is None:
        if time.monotonic() >= until:
            remedy = "wait for it, or choose another place"
            raise InputError(f"another process is at work here{_holder(lock)}", file=of, field=field, remedy=remedy)
        time.sleep(0.05)
    handle, made = found
    _held[lock], owner = threading.get_ident(), os.getpid()
    try:
        yield
    finally:
        # A forked child has not locked anything.
        if os.getpid() == owner:
            del _held[lock]
            _release(lock, handle, made)


def _acquire(lock: Path) -> tuple[int, list[Path]] | None:
    """The open, locked file and the folders created for it, innermost first; None if another process has it."""
    made: list[Path] = []
    for attempt in count(1):
        missing = [folder for folder in lock.parents if not folder.exists()]
        lock.parent.mkdir(parents=True, exist_ok=True)
        made = made or missing
        try:
            handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
        except FileNotFoundError:
            if attempt == _ATTEMPTS:  # a place such as /proc, where no file can be made
                raise
            continue  # another process has just removed the folder
        try:
            if not _try(handle, lock):
                os.close(handle)
                return None
            if _is(lock, handle):
                _write_holder(handle)
                return handle, made
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another process has just removed the file
    raise AssertionError


def _try(handle: int, lock: Path) -> bool:
    try:
        if fcntl is None:
            os.lseek(handle, _BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue, reportPossiblyUnboundVariable]
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL):
            raise
        # For example on some network file systems.
        _logger.warning("%s: this file system does not support locks; do not start a second command here", lock.parent)
    return True


def _is(lock: Path, handle: int) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(os.stat(lock), os.fstat(handle))
    except FileNotFoundError:
        return False


def _write_holder(handle: int) -> None:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    holder = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n"
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, holder.encode())


def _holder(lock: Path) -> str:
    """The process that has the lock, in brackets; empty if it has not written its name yet."""
    try:
        holder = json.loads(lock.read_text("utf-8"))
        return f" (process {holder['process']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _release(lock: Path, handle: int, made: list[Path]) -> None:
    if fcntl is None:
        os.close(handle)  # Windows does not remove open files
    with contextlib.suppress(OSError):
        if fcntl is None or _is(lock, handle):
            lock.unlink()
    if fcntl is not None:
        os.close(handle)
    for folder in made:
        try:
            folder.rmdir()
        except OSError:
            return  # not empty

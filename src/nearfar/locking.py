"""One process at a time on a file or a folder. The system itself gives a lock free when its holder dies."""

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
from pathlib import Path

from nearfar.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_logger = logging.getLogger(__name__)

#: Paths that this process has locked, and the thread that did: what it calls may ask for the same once more.
_held: dict[Path, int] = {}
#: Windows keeps others from a locked byte: this one lies behind all that is written.
_BYTE = 1 << 20


@contextmanager
def locked(lock: Path, of: Path, field: str = "--out", *, wait: float = 0.0) -> Iterator[None]:
    """Keep every other process from `of` for as long as the block runs.

    The file of the lock is removed at the end, with the folders that were made for it if nothing else is in them. One
    that a killed process left behind is free. The same thread may lock what it has locked already.

    Args:
        lock: The file of the lock. It names process, host and time for whoever finds it locked.
        of: What is locked, for the message.
        field: The option that names it.
        wait: Seconds to wait for it.

    Raises:
        InputError: another process is at work there.
        OSError: the file cannot be written.
    """
    lock = lock.absolute()
    if _held.get(lock) == threading.get_ident():
        yield
        return
    until = time.monotonic() + wait
    while (found := _acquire(lock)) is None:
        if time.monotonic() >= until:
            remedy = "wait for it, or name another place"
            raise InputError(f"another process is at work here{_holder(lock)}", file=of, field=field, remedy=remedy)
        time.sleep(0.05)
    handle, made = found
    _held[lock], owner = threading.get_ident(), os.getpid()
    try:
        yield
    finally:
        # A process that was forked off meanwhile has not locked anything.
        if os.getpid() == owner:
            del _held[lock]
            _release(lock, handle, made)


def _acquire(lock: Path) -> tuple[int, list[Path]] | None:
    """The open and locked file, and the folders made for it, innermost first; None while another has it."""
    made: list[Path] = []
    while True:
        missing = [folder for folder in lock.parents if not folder.exists()]
        lock.parent.mkdir(parents=True, exist_ok=True)
        made = made or missing
        try:
            handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
        except FileNotFoundError:
            continue  # whoever was here before has just removed the folder
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
        os.close(handle)  # whoever was here before has just removed the file


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
        # Some network file systems have no locks.
        _logger.warning("%s: this file system has no locks; do not start a second command here", lock.parent)
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
    """Who has it, in brackets; empty in the moment before it has written that down."""
    try:
        holder = json.loads(lock.read_text("utf-8"))
        return f" (process {holder['process']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _release(lock: Path, handle: int, made: list[Path]) -> None:
    if fcntl is None:
        os.close(handle)  # Windows removes no open file
    with contextlib.suppress(OSError):
        if fcntl is None or _is(lock, handle):
            lock.unlink()
    if fcntl is not None:
        os.close(handle)
    for folder in made:
        try:
            folder.rmdir()
        except OSError:
            return  # something is in it

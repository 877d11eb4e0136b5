"""Writes files completely or not at all, and checks early whether a path is writable."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from nearfar.errors import InputError
from nearfar.exchange import exchanged
from nearfar.locking import locked

_DRAFT = re.compile(r"\.(?P<name>.+)\.\d+\.part")


@contextmanager
def file_claimed(path: str | Path, field: str = "--out", *, wait: float = 0.0) -> Iterator[None]:
    """Lock a file, or a folder that is replaced as a whole, against other processes during the block.

    Partial files of killed processes next to it are removed.

    Args:
        path: The file or folder to write. Only a lock file is created next to it, during the block.
        field: The option that names it.
        wait: Maximum number of seconds to wait for another process.

    Raises:
        InputError: Another process is at work on it, or it is not writable.
    """
    path = Path(path).absolute()
    with _lock(path.with_name(f".{path.name}.lock"), path, field, wait):
        _remove_drafts(path.parent, path.name)
        yield


@contextmanager
def folder_claimed(
    folder: str | Path, field: str = "--out", *, wait: float = 0.0, parts: Sequence[str] = ()
) -> Iterator[None]:
    """Lock a folder against other processes during the block.

    Partial files of killed processes in it are removed.

    Args:
        folder: The folder to write files to. It is created, and removed again if it stays empty.
        field: The option that names it.
        wait: Maximum number of seconds to wait for another process.
        parts: Patterns of folders in it, such as `logs`, in which partial files are removed, too.

    Raises:
        InputError: Another process is at work in it, or it is not writable.
    """
    folder = Path(folder)
    with _lock(folder / LOCK, folder, field, wait):
        for each in (folder, *(found for part in parts for found in folder.glob(part) if found.is_dir())):
            _remove_drafts(each)
        yield


#: The lock file in a folder; it exists while a command runs, and after one was killed.
LOCK = ".lock"


@contextmanager
def _lock(lock: Path, path: Path, field: str, wait: float) -> Iterator[None]:
    entering = True
    try:
        with locked(lock, path, field, wait=wait):
            entering = False
            yield
    except OSError as error:
        if not entering:
            raise
        raise _unwritable(error, path, field) from error


def _remove_drafts(folder: Path, name: str | None = None) -> None:
    """Remove partial files of killed processes: of one file, or of all files in a folder."""
    for path in folder.iterdir():
        draft = _DRAFT.fullmatch(path.name)
        if draft is not None and name in (None, draft["name"]):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def draft_of(path: str | Path) -> Iterator[Path]:
    """A temporary file, which is renamed to `path` when the block succeeds, and removed when it fails."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def draft_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder next to `path`, removed at the end: what is complete in it is renamed before.

    Claim `path` with `file_claimed`, which removes the folder of a killed process.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.{os.getpid()}.part")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(text: str, path: str | Path) -> None:
    """Write a text as UTF-8, completely or not at all."""
    with draft_of(path) as draft:
        draft.write_text(text, "utf-8")


def replace_folder(folder: Path, save: Callable[[Path], object]) -> None:
    """Call `save` on a temporary folder next to `folder`, and replace `folder` with it when it is complete.

    Readers find the old folder or the new one, also after a kill. Where the system cannot exchange two folders in one
    step, `settled` restores the old one after a kill between two steps. If `save` fails, nothing of it is left.
    """
    folder = settled(Path(os.path.realpath(folder)))
    part, old = _beside(folder, "part"), _beside(folder, "old")
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    try:
        save(part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    while folder.exists():
        if exchanged(part, folder):
            shutil.rmtree(part)
            return
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
        try:
            os.rename(part, folder)
        except OSError as error:
            settled(folder)
            # A reader may have restored the old one in between.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) or not part.exists():
                raise
        else:
            shutil.rmtree(old)
            return
    os.replace(part, folder)


def settled(folder: str | Path) -> Path:
    """The same folder, restored if a process was killed while it replaced the folder."""
    folder = Path(folder)
    if not folder.name or folder.exists():
        return folder
    old = _beside(folder, "old")
    if old.is_dir():
        with suppress(OSError):  # another process was faster, or this one has only read access
            os.rename(old, folder)
    return folder


def tidy(folder: Path) -> None:
    """Remove what a killed process left next to a folder that it replaced. Claim the folder before."""
    settled(folder)
    for left in (_beside(folder, "part"), _beside(folder, "old")):
        shutil.rmtree(left, ignore_errors=True)


def tidy_unless_busy(path: Path, field: str = "--out", *, unfinished: Path | None = None) -> None:
    """Remove what a killed process left next to a file or folder, unless another process is at work on it.

    For those who only read, or who find that nothing is left to write. Nothing happens where nothing can be removed.

    Args:
        path: The file or folder, which is complete.
        field: The option that names it.
        unfinished: A folder for resuming, which a complete one does not need.
    """
    left = [_beside(path, what) for what in ("part", "old", "lock")]
    if any(each.exists() for each in (*left, *([unfinished] if unfinished else ()))):
        with suppress(InputError), file_claimed(path, field):
            tidy(path)
            if unfinished is not None:
                shutil.rmtree(unfinished, ignore_errors=True)


def check_free(path: Path, field: str = "--out", remedy: str = "choose another folder") -> None:
    """Check that a file or folder does not exist. Check once more when it is claimed: another process may write it.

    Raises:
        InputError: It exists.
    """
    if path.exists():
        tidy_unless_busy(path, field)
        raise InputError("already exists", file=path, field=field, remedy=remedy)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{what}")


def check_writable(path: Path, field: str = "--out") -> None:
    """Check that a path is writable, before an hour of training.

    Raises:
        InputError: There is no permission or no space, or the path is a file.
    """
    existing = path
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError("expected a folder, got a file", file=existing, field=field, remedy="choose another folder")
    try:
        # The file has no name, if the system supports it, so nothing can be left behind.
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
    except OSError as error:
        raise _unwritable(error, existing, field) from error


@contextmanager
def full_disk_noticed(path: Path) -> Iterator[None]:
    """Raise a clear error if the block failed because the disk is full, which torch does not report.

    Raises:
        InputError: The disk of `path` is full.
    """
    try:
        yield
    except InputError:
        raise
    except Exception:
        check_writable(path)
        raise


def _unwritable(error: OSError, path: Path, field: str) -> InputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free some space, or choose a folder on another disk" if full else "choose a writable folder"
    return InputError(f"cannot be written: {error.strerror or error}", file=path, field=field, remedy=remedy)

"""Writing files that appear as a whole or not at all, and finding out early that nothing can be written."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nearfar.errors import InputError


@contextmanager
def draft_of(path: str | Path) -> Iterator[Path]:
    """A name to write under, which becomes `path` once the block ends well and vanishes when it does not."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Write a text as UTF-8, all of it or nothing."""
    with draft_of(path) as draft:
        draft.write_text(text, "utf-8")


def replace_folder(folder: Path, save: Callable[[Path], object]) -> None:
    """Call `save` on a temporary folder beside `folder`, and put it in its place once it is whole."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    save(part)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def check_writable(path: Path, field: str = "--out") -> None:
    """Find out now, and not after an hour of training, that nothing can be written.

    Raises:
        InputError: no right to write there, no space, or a file in the way.
    """
    existing = path
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError("is a file, not a folder", file=existing, field=field, remedy="name another folder")
    try:
        # Without a name where the system has such files: nothing to see, nothing to leave behind.
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
    except OSError as error:
        raise _unwritable(error, existing, field) from error


@contextmanager
def full_disk_noticed(path: Path) -> Iterator[None]:
    """Say that the disk is full where that is why the block failed: torch's own error does not tell.

    Raises:
        InputError: nothing more can be written to `path`.
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
    remedy = "free some space or name a folder on another disk" if full else "name a folder that you may write to"
    return InputError(f"cannot be written: {error.strerror or error}", file=path, field=field, remedy=remedy)

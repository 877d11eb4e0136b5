"""Writes files completely or not at all, and checks early whether a path is writable."""

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
    """A temporary file, which is renamed to `path` when the block succeeds, and removed when it fails."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Write a text as UTF-8, completely or not at all."""
    with draft_of(path) as draft:
        draft.write_text(text, "utf-8")


def replace_folder(folder: Path, save: Callable[[Path], object]) -> None:
    """Call `save` on a temporary folder next to `folder`, and replace `folder` with it when it is complete."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    save(part)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


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

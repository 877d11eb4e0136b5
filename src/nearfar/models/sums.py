"""The hashes of a folder's files in `SHA256SUMS`, which `sha256sum -c SHA256SUMS` checks, too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nearfar.errors import InputError
from nearfar.models.aliases import sha256
from nearfar.writing import write_text

__all__ = ["FILE", "changes", "write_sums"]

FILE = "SHA256SUMS"


def write_sums(folder: Path, names: Iterable[str] | None = None) -> None:
    """Write the SHA-256 of each file.

    Args:
        folder: The folder.
        names: Files and folders in it; by default everything.
    """
    lines = [f"{sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in _files(folder, names)]
    write_text("".join(lines), folder / FILE)


def changes(folder: Path, names: Iterable[str] | None = None) -> tuple[int, list[str]]:
    """The number of recorded files, and what differs: changed and missing files, and files without a record.

    Args:
        folder: The folder.
        names: The files and folders in it that were recorded, as for `write_sums`; by default everything.

    Raises:
        InputError: There is no record, or it is not text in the format of `sha256sum`.
    """
    record = folder / FILE
    if not record.is_file():
        raise InputError("does not exist", file=record, remedy="models are recorded when they are saved")
    expected: dict[str, str] = {}
    try:
        lines = record.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", file=record, remedy="restore the file") from error
    for number, line in enumerate(lines, 1):
        digest, gap, name = line.partition("  ")
        if not gap or len(digest) != 64:
            raise InputError("expected a SHA-256, two spaces and a path", file=record, line=number)
        expected[name] = digest
    found = []
    for name, digest in expected.items():
        file = folder / name
        if not file.is_file():
            found.append(f"{name} is missing")
        elif sha256(file) != digest:
            found.append(f"{name} has changed")
    # A file beside the recorded ones could be read instead of one of them.
    for file in _files(folder, names):
        if (name := file.relative_to(folder).as_posix()) not in expected:
            found.append(f"{name} is not in {FILE}")
    return len(expected), found


def _files(folder: Path, names: Iterable[str] | None) -> list[Path]:
    tops = [folder] if names is None else [folder / name for name in names]
    files = {file for top in tops for file in ([top] if top.is_file() else top.rglob("*")) if file.is_file()}
    # Hidden files are locks and partial files; hidden folders are those of git and of the Hub's cache.
    return sorted(file for file in files if file != folder / FILE and not _is_hidden(file.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)

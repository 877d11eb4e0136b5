"""Opening text files, gzipped or not, with the mistakes people make named in one line; writing JSON lines."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from nearfar.data._hints import close_name
from nearfar.errors import InputError
from nearfar.writing import draft_of

_FOREIGN = (  # first bytes -> (what the file is, what to do); longer marks first
    (b"\xff\xfe\0\0", "is UTF-32, not UTF-8", "convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW"),
    (b"\0\0\xfe\xff", "is UTF-32, not UTF-8", "convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW"),
    (b"\xff\xfe", "is UTF-16, not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    (b"\xfe\xff", "is UTF-16, not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    (b"\x1f\x8b", "is compressed by gzip, which its name does not say", "add .gz to its name"),
    (b"PK\x03\x04", "is a zip archive or an Excel workbook, not text", "unpack it, or save the sheet as CSV"),
    (b"PAR1", "is a Parquet file, which its name does not say", "end its name in .parquet"),
)


@contextmanager
def open_text(path: str | Path) -> Iterator[TextIO]:
    """Open a UTF-8 file for reading, through gzip where its name ends in `.gz`; a byte order mark is skipped.

    Lines end at a line feed alone, and no line end is changed.

    Raises:
        InputError: No such file, not a regular file, no permission, not UTF-8 (with line and byte), broken gzip.
    """
    path = Path(path)
    with open_binary(path) as raw:
        head = cast(io.BufferedReader, raw).peek(4096)
        for mark, problem, remedy in _FOREIGN:
            if head.startswith(mark):
                raise InputError(problem, file=path, remedy=remedy)
        if b"\0" in head:
            raise InputError(
                "holds NUL bytes, so it is not UTF-8 text",
                file=path,
                remedy="if it is UTF-16, convert it: iconv -f UTF-16LE -t UTF-8 OLD > NEW",
            )
        try:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="\n")
        except UnicodeDecodeError:
            raise _not_utf8(path) from None


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, through gzip where its name ends in `.gz`. Errors as in `open_text`."""
    check_file(path)
    packed = path.suffix.lower() == ".gz"
    try:
        raw = gzip.open(path) if packed else path.open("rb")  # noqa: SIM115
    except OSError as error:
        raise _unreadable(path, error) from None
    with raw:
        try:
            yield cast(BinaryIO, raw)
        except EOFError:
            raise InputError(
                "ends in the middle: the gzip stream is cut off", file=path, remedy="copy or download it again"
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"is not sound gzip ({error})", file=path, remedy="compress it again, or drop .gz from its name"
            ) from None


def check_file(path: Path) -> None:
    """Raise an InputError unless `path` is a regular file; a missing one is met with the nearest name there is."""
    try:
        if path.is_file():
            return
        exists = path.exists()
    except OSError as error:
        raise _unreadable(path, error) from None
    if exists:
        what = "is a folder" if path.is_dir() else "is a pipe or a device"
        raise InputError(f"{what}, not a file", file=path, remedy="give a regular file")
    raise InputError("no such file or folder", file=path, remedy=_nearest(path))


def list_folder(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted by name, hidden files left out."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    except OSError as error:
        raise _unreadable(folder, error) from None


def write_jsonl(rows: Iterable[Mapping[str, object]], path: str | Path) -> int:
    """Write one JSON object a line, UTF-8, through gzip where the name ends in `.gz`; all of it or nothing.

    Returns:
        The number of rows written.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot hold.
    """
    path = Path(path)
    count = 0
    with draft_of(path) as draft, draft.open("wb") as file:
        # A fixed time keeps the bytes equal for equal rows.
        raw = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.suffix.lower() == ".gz" else file
        for row in rows:
            raw.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
            count += 1
        if raw is not file:
            raw.close()
    return count


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, PermissionError):
        return InputError("permission denied", file=path, remedy="make it readable: chmod +r")
    return InputError(f"cannot be read: {error.strerror or error}", file=path)


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either"
    near = close_name(path.name, (other.name for other in list_folder(folder)))
    return f"did you mean {near}?" if near else f"look into {folder.resolve()}"


def _not_utf8(path: Path) -> InputError:
    with open_binary(path) as raw:
        for number, line in enumerate(raw, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return InputError(
                    f"byte {error.start + 1} of the line (0x{line[error.start]:02x}) is not UTF-8",
                    file=path,
                    line=number,
                    remedy="convert the file: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW",
                )
    raise RuntimeError(f"{path} changed while it was read")

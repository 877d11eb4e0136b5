"""Opening text files, compressed or not, with one-line messages for common mistakes; writing JSON lines."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from nearfar.data._hints import close_name
from nearfar.data.limits import line_too_long, max_line
from nearfar.errors import InputError
from nearfar.writing import draft_of

#: Lines of the first chunk of a file, and bytes of the others.
HEAD, CHUNK = 8192, 4 << 20
_PIECE = 1 << 16
#: Endings of the names of compressed files.
COMPRESSED = (".gz", ".zst")
# Of the bytes of UTF-16, every second or so is NUL; one of many is a mistake in a text.
_FEW = 8

_FOREIGN = (  # first bytes -> (what the file is, what to do); longer marks first
    (b"\xff\xfe\0\0", "is UTF-32, not UTF-8", "convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW"),
    (b"\0\0\xfe\xff", "is UTF-32, not UTF-8", "convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW"),
    (b"\xff\xfe", "is UTF-16, not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    (b"\xfe\xff", "is UTF-16, not UTF-8", "convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW"),
    (b"\x1f\x8b", "is compressed with gzip, but its name does not end in .gz", "add .gz to its name"),
    (b"PK\x03\x04", "is a zip archive or an Excel workbook, not text", "unzip it, or save the sheet as CSV"),
    (b"PAR1", "is a Parquet file, but its name does not end in .parquet", "rename it"),
    (b"ARROW1", "is an Arrow file, not text", "write the rows as .parquet or .jsonl"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an old Excel or Word file, not text", "save the sheet as CSV"),
    (b"{\\rtf", "is an RTF document, not text", "save it as plain text"),
    (b"%PDF-", "is a PDF file, not text", "convert it to text"),
    (b"\x28\xb5\x2f\xfd", "is compressed with Zstandard, but its name does not end in .zst", "add .zst to its name"),
    (b"\xfd7zXZ\0", "is compressed with xz, not text", "unpack it, or compress it with gzip"),
    (b"\x04\x22\x4d\x18", "is compressed with LZ4, not text", "unpack it, or compress it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, not text", "unpack it"),
    *((b"BZh%d1AY&SY" % level, "is compressed with bzip2, not text", "unpack it") for level in range(1, 10)),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"),
)
# Of these, a file of texts may be one.
_HTML = (b"<!doctype html", b"<html")


@contextmanager
def open_text(path: str | Path) -> Iterator[TextIO]:
    """Open a UTF-8 file for reading, unpacked if its name ends in `.gz` or `.zst`; a byte order mark is skipped.

    Only a line feed ends a line, and line ends are not changed.

    Raises:
        InputError: No such file, not a regular file, no permission, not UTF-8 (with line and byte), corrupted.
    """
    path = Path(path)
    with open_lines(path) as raw:
        try:
            yield io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
        except UnicodeDecodeError:
            raise not_utf8(path) from None


@contextmanager
def open_lines(path: Path) -> Iterator[BinaryIO]:
    """Open a UTF-8 file for reading bytes; what `open_text` does, except for decoding.

    Raises:
        InputError: As for `open_text`, except that the bytes are not checked; see `not_utf8`.
    """
    with open_binary(path) as raw:
        head = cast(io.BufferedReader, raw).peek(4096)
        check_foreign(path, head)
        if (at := head.find(b"\0")) >= 0 and head.count(b"\0") * _FEW < len(head):
            raise nul_byte(path, 1 + head.count(b"\n", 0, at))
        if at >= 0:
            raise InputError(
                "contains NUL bytes, so it is not UTF-8 text",
                file=path,
                remedy="if it is UTF-16, convert it: iconv -f UTF-16LE -t UTF-8 OLD > NEW",
            )
        if head.startswith(codecs.BOM_UTF8):
            raw.read(len(codecs.BOM_UTF8))
        yield raw


def check_foreign(path: Path, head: bytes) -> None:
    """Raise an InputError if the first bytes of a file are those of another kind of file than its name says."""
    for mark, problem, remedy in _FOREIGN:
        if head.startswith(mark):
            raise InputError(problem, file=path, remedy=remedy)
    suffix = Path(unpacked_name(path).lower()).suffix
    if suffix not in ("", ".txt", ".text", ".md", ".log") and head.lstrip()[:14].lower().startswith(_HTML):
        raise InputError("is an HTML page", file=path, remedy="download the file itself")


def line_chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a UTF-8 file in chunks: the number of the first line, and the bytes of whole lines.

    Args:
        path: The file. The first chunk has at most `HEAD` lines, the others about `CHUNK` bytes.

    Raises:
        InputError: As for `open_lines`, or a line is longer than `nearfar.data.limits.max_line`.
    """
    limit, number = max_line(), 1
    with open_lines(path) as raw:
        while True:
            lines, size = [], 0
            try:  # lines before an error of reading are yielded before it is raised
                if number == 1:
                    while len(lines) < HEAD and size < CHUNK and (line := raw.readline(limit + 1)):
                        size += len(line)
                        if len(line) > limit:
                            raise long_line(path, number + len(lines))
                        lines.append(line)
                else:
                    # An error within a large piece would lose what is before it.
                    piece = _PIECE if is_compressed(path) else CHUNK
                    while size < CHUNK and (data := raw.read(piece)):
                        size += len(data)
                        lines.append(data)
                    if lines and not lines[-1].endswith(b"\n"):
                        data = lines[0] if len(lines) == 1 else b"".join(lines)
                        lines, start = [data], data.rfind(b"\n") + 1
                        lines.append(raw.readline(limit + 1))
                        if len(data) - start + len(lines[-1]) > limit:
                            raise long_line(path, number + data.count(b"\n"))
            except (EOFError, OSError, zlib.error, InputError):
                data = b"".join(lines)
                if end := data.rfind(b"\n") + 1:
                    yield number, data[:end]
                raise
            if not lines:
                return
            data = b"".join(lines)
            yield number, data
            number += data.count(b"\n")


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, unpacked if its name ends in `.gz` or `.zst`.

    Raises:
        InputError: No such file, not a regular file, no permission, corrupted.
    """
    check_file(path)
    packed = path.suffix.lower()
    try:
        raw = gzip.open(path) if packed == ".gz" else path.open("rb")  # noqa: SIM115
        raw = io.BufferedReader(_Zstandard(path, raw)) if packed == ".zst" else raw
    except OSError as error:
        raise _unreadable(path, error) from None
    with raw:
        try:
            yield cast(BinaryIO, raw)
        except EOFError:
            raise InputError(
                "is truncated: the gzip stream has no end", file=path, remedy="copy or download it again"
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"is not a valid gzip file ({error})", file=path, remedy="compress it again, or drop .gz from its name"
            ) from None


def is_compressed(path: Path) -> bool:
    """Whether the name of a file says that it is compressed."""
    return path.suffix.lower() in COMPRESSED


def unpacked_name(path: Path) -> str:
    """The name of a file without the ending of its compression."""
    return path.stem if is_compressed(path) else path.name


class _Zstandard(io.RawIOBase):
    """Reads a file that is compressed with Zstandard; a file may contain several frames.

    Args:
        path: For messages.
        packed: The open file.
    """

    def __init__(self, path: Path, packed: object) -> None:
        import pyarrow as pa

        super().__init__()
        self._path, self._packed = path, packed
        self._stream = pa.CompressedInputStream(packed, "zstd")  # pyright: ignore[reportArgumentType]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            data = self._stream.read(len(buffer))
        except OSError as error:
            cut = "truncated" in str(error).lower()
            problem = "is truncated: the Zstandard stream has no end" if cut else "is not a valid Zstandard file"
            remedy = "copy or download it again" if cut else "compress it again, or drop .zst from its name"
            raise InputError(problem, file=self._path, remedy=remedy) from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
            self._packed.close()  # pyright: ignore[reportAttributeAccessIssue]
        super().close()


def text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their ends; lines before a mistake are yielded before its error is raised.

    Raises:
        InputError: As for `line_chunks`, or a line contains a NUL byte or is not UTF-8.
    """
    return chain.from_iterable(_text_chunks(path))


def _text_chunks(path: Path) -> Iterator[io.StringIO]:
    """Chunks of lines, which are iterated without the help of Python's interpreter."""
    for start, data in line_chunks(path):
        good, error = len(data), None
        if (at := data.find(b"\0")) >= 0:
            good, error = data.rfind(b"\n", 0, at) + 1, nul_byte(path, start + data.count(b"\n", 0, at))
        try:
            text = data[:good].decode()
        except UnicodeDecodeError as wrong:
            text = data[: data.rfind(b"\n", 0, wrong.start) + 1].decode()
            error = not_utf8(path)
        yield io.StringIO(text, newline="\n")
        if error is not None:
            raise error


def nul_byte(path: Path, line: int) -> InputError:
    """The error for a NUL byte, which no text contains."""
    return InputError("contains a NUL byte", file=path, line=line, remedy="remove it, or save the file as UTF-8 text")


def long_line(path: Path, line: int, limit: int | None = None) -> InputError:
    """The error for a line that is longer than lines may be, by default `max_line`."""
    problem, remedy = line_too_long(limit or max_line())
    return InputError(problem, file=path, line=line, remedy=remedy)


def check_file(path: Path) -> None:
    """Raise an InputError unless `path` is a regular file; if it is missing, suggest the most similar file name."""
    try:
        if path.is_file():
            return
        exists = path.exists()
    except OSError as error:
        raise _unreadable(path, error) from None
    if exists:
        what = "is a folder" if path.is_dir() else "is a pipe or a device"
        raise InputError(f"{what}, not a file", file=path, remedy="name a regular file")
    if path.is_symlink():
        raise InputError("is a link to what does not exist", file=path, remedy="correct the link")
    raise InputError("no such file or folder", file=path, remedy=_nearest(path))


def sha256(file: Path) -> str:
    """The hexadecimal SHA-256 of a file, which is read in blocks."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def list_folder(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted by name, without those whose names begin with `.` or `_`."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    except OSError as error:
        raise _unreadable(folder, error) from None


def write_jsonl(rows: Iterable[Mapping[str, object]], path: str | Path) -> int:
    """Write one JSON object per line, UTF-8, through gzip if the name ends in `.gz`; all rows or nothing.

    Returns:
        The number of rows written.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot represent.
    """
    path = Path(path)
    count = 0
    with draft_of(path) as draft, draft.open("wb") as file:
        # With a fixed time stamp, equal rows give equal bytes.
        raw = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.suffix.lower() == ".gz" else file
        for row in rows:
            raw.write(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n")
            count += 1
        if raw is not file:
            raw.close()
    return count


def not_utf8(path: Path) -> InputError:
    """The error for a file that is not UTF-8: finds the first line and byte that are not."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    number, before = 1, 0  # the line, and its bytes before the piece
    with open_binary(path) as raw:
        while True:
            piece = raw.readline(_PIECE)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(piece, not piece)
            except UnicodeDecodeError as error:
                at, byte = before - held + error.start + 1, error.object[error.start]
                return InputError(
                    f"byte {at} of the line (0x{byte:02x}) is not UTF-8",
                    file=path,
                    line=number,
                    remedy="convert the file from its encoding, such as: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW",
                )
            if not piece:
                raise RuntimeError(f"{path} changed while it was read")
            before += len(piece)
            if piece.endswith(b"\n"):
                number, before = number + 1, 0


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, PermissionError):
        return InputError("permission denied", file=path, remedy="make it readable: chmod +r")
    return InputError(f"cannot be read: {error.strerror or error}", file=path)


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"the folder {folder} does not exist either"
    near = close_name(path.name, (other.name for other in list_folder(folder)))
    return f"did you mean {near}?" if near else f"check the contents of {folder.resolve()}"

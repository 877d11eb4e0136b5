"""CSV and TSV as blocks of rows. Every value is the text as it is in the file."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterator
from functools import partial
from io import StringIO
from itertools import chain
from pathlib import Path

from nearfar.data._blocks import Block, Source, batched
from nearfar.data.files import line_chunks, not_utf8, nul_byte, open_text, text_lines
from nearfar.errors import InputError

Rows = Iterator[tuple[int, list[str]]]


def open_csv(path: Path) -> Source:
    """Open a file with a header, quoted as in RFC 4180; a quoted text may contain line breaks.

    Columns are separated by commas; or by semicolons, tabs or bars, as Excel writes them in many countries, if the
    header shows it.
    """
    delimiter, skipped = _delimiter(path)
    rows = _csv_rows(path, delimiter)
    for _ in range(skipped):
        next(rows, None)
    line, header = next(rows, (1, None))
    names = _names(path, line, header)
    hint = f"put texts that contain {_DELIMITERS[delimiter]} in double quotes"
    return _source(path, names, _blocks(names, _checked(path, names, rows, hint)))


def open_tsv(path: Path) -> Source:
    """Open a tab-separated file with a header; a quote is an ordinary character."""
    chunks = line_chunks(path)
    start, data = next(chunks, (1, b""))
    header, _, rest = data.partition(b"\n")
    if b"\r" in header.removesuffix(b"\r"):
        raise InputError("unexpected carriage return", file=path, line=start, remedy="end lines with a line feed")
    names = _names(path, start, next(_cells(path, start, header))[1] if header else None)
    if rest:
        chunks = chain([(start + 1, rest)], chunks)
    return _source(path, names, _tsv_blocks(path, names, chunks))


def tsv_cells(path: Path) -> Rows:
    """Yield the number and the cells of each line of a tab-separated file, including the header."""
    for start, data in line_chunks(path):
        yield from _cells(path, start, data)


#: What may separate columns, the most common first, and its name.
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
#: A line by which Excel states the delimiter.
_STATED = re.compile(r"\"?sep=([,;\t|])\"?")
#: Rows that show which delimiter a file has, and the characters in which they are looked for.
_ROWS_SHOWN, _CHARACTERS_SHOWN = 20, 1 << 16
_NO_TABS = "replace tabs inside texts by spaces"


def _tsv_blocks(path: Path, names: list[str], chunks: Iterator[tuple[int, bytes]]) -> Iterator[Block]:
    """Blocks parsed by Arrow, up to the first lines that it does not accept; these and all others by Python."""
    from nearfar.data._tsv_arrow import parse  # Arrow takes a while to import

    for start, data in chunks:
        batch = parse(data, len(names))
        if batch is None:
            remaining = chain([(start, data)], chunks)
            cells = chain.from_iterable(_cells(path, *chunk) for chunk in remaining)
            rows = ((number, [] if row == [""] else row) for number, row in cells)
            yield from _blocks(names, _checked(path, names, rows, _NO_TABS))
            return
        columns = dict(zip(names, batch.columns, strict=True))
        yield Block(
            names,
            range(start, start + batch.num_rows),
            columns.__getitem__,
            partial(_blocks, names, _cells(path, start, data)),
        )


def _cells(path: Path, start: int, data: bytes) -> Rows:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start):
        if b"\0" in line:
            raise nul_byte(path, number)
        try:
            cells = line.decode().removesuffix("\r").split("\t")
        except UnicodeDecodeError:
            raise not_utf8(path) from None
        yield number, cells


def _delimiter(path: Path) -> tuple[str, int]:
    """The delimiter of a file, and how many lines are before its header: one if it states the delimiter."""
    start = _start(path)
    first, _, rest = start.partition("\n")
    if stated := _STATED.fullmatch(first.rstrip("\r")):
        return stated[1], 1
    widths = {delimiter: _widths(first, rest, delimiter) for delimiter in _DELIMITERS}
    several = [delimiter for delimiter, found in widths.items() if found[0] > 1]
    if len(several) < 2:
        return (several or [","])[0], 0
    # "Question, long;Answer": the delimiter is the one that gives every row as many fields as the header.
    return next((delimiter for delimiter in several if len(set(widths[delimiter])) == 1), several[0]), 0


def _start(path: Path) -> str:
    """The first lines of a file, as far as they can be read: mistakes in them are found when the rows are read."""
    lines: list[str] = []
    size = 0
    with open_text(path) as text:
        try:
            while size < _CHARACTERS_SHOWN and (line := text.readline(_CHARACTERS_SHOWN)):
                lines.append(line)
                size += len(line)
        except (EOFError, OSError, zlib.error, UnicodeDecodeError):
            pass
    return "".join(lines)


def _widths(first: str, rest: str, delimiter: str) -> list[int]:
    """The number of fields of the header and of the first rows."""
    found = []
    try:
        for row in csv.reader(StringIO(f"{first}\n{rest}", newline=""), delimiter=delimiter):
            if row:
                found.append(len(row))
            if len(found) > _ROWS_SHOWN:
                return found
    except csv.Error:
        pass
    cut = len(first) + len(rest) + 1 >= _CHARACTERS_SHOWN  # then the last row may be incomplete
    return found[:-1] if cut and len(found) > 2 else found or [1]


def _csv_rows(path: Path, delimiter: str) -> Rows:
    reader = csv.reader(text_lines(path), strict=True, delimiter=delimiter)
    while True:
        start = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _bad_csv(path, start, str(error)) from None
        yield start, row


def _bad_csv(path: Path, line: int, error: str) -> InputError:
    if "field limit" in error:
        size = csv.field_size_limit()
        problem = f"a field of this row has more than {size} characters, probably because a quote is not closed"
        remedy = "close the quote, or use .jsonl for texts of that length"
    elif "unexpected end" in error:
        problem, remedy = "a quote in this row is not closed", "close it; double a quote inside a text"
    elif "new-line character" in error:
        problem, remedy = "unexpected carriage return", "end lines with a line feed, or quote the text that contains it"
    else:
        problem, remedy = f"invalid CSV: {error}", 'double a quote inside a quoted text: "say ""hi"""'
    return InputError(problem, file=path, line=line, remedy=remedy)


def _names(path: Path, line: int, header: list[str] | None) -> list[str]:
    if header is None:
        raise InputError("is empty", file=path, remedy="begin with a header line that names the columns")
    names = [name.strip() for name in header]
    for name in names:
        if name and names.count(name) > 1:
            raise InputError("duplicate column name", file=path, line=line, field=name, remedy="rename one of them")
    return names


def _source(path: Path, names: list[str], blocks: Iterator[Block]) -> Source:
    first = next(blocks, None)
    if first is None:
        raise InputError("contains a header and no rows", file=path, remedy="add rows below the header")
    return Source(str(path), names, lambda wanted: chain([first], blocks), typed=False)


def _blocks(names: list[str], rows: Rows) -> Iterator[Block]:
    for places, cells in batched(rows):
        columns = dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))
        yield Block(names, places, columns.__getitem__)


def _checked(path: Path, names: list[str], rows: Rows, hint: str) -> Rows:
    """Yield the rows. Each must have a cell for each name; blank lines are allowed only at the end."""
    blank = None
    for line, row in rows:
        if not row:
            blank = blank or line
        elif blank is not None:
            raise InputError("blank line between rows", file=path, line=blank, remedy="remove it")
        elif len(row) != len(names):
            fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
            remedy = hint if len(row) > len(names) else "give every row a field for each column"
            problem = f"expected {len(names)} fields as in the header, got {fields}"
            raise InputError(problem, file=path, line=line, remedy=remedy)
        else:
            yield line, row

"""CSV and TSV as blocks of rows. Every value stays the text it is in the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from nearfar.data._blocks import Block, Source, batched
from nearfar.data.files import open_text
from nearfar.errors import InputError


def open_csv(path: Path) -> Source:
    """Open a comma-separated file with a header, quoted as RFC 4180 says; a quoted text may span lines."""
    return _source(path, _csv_rows(path), "put a text that holds a comma in double quotes")


def open_tsv(path: Path) -> Source:
    """Open a tab-separated file with a header, in which a quote is a character like any other."""
    return _source(path, _tsv_rows(path), "a tab inside a text must become a space")


def tsv_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the cells of each line of a tab-separated file, the header too."""
    with open_text(path) as text:
        for number, line in enumerate(text, 1):
            yield number, line.removesuffix("\n").removesuffix("\r").split("\t")


def _tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    return ((number, [] if cells == [""] else cells) for number, cells in tsv_cells(path))


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    with open_text(path) as text:
        reader = csv.reader(text, strict=True)
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
        problem = f"a field of more than {size} characters begins in this row, so a quote is probably left open"
        remedy = "close the quote, or keep texts of that length in a .jsonl file"
    elif "unexpected end" in error:
        problem, remedy = "a quote is opened in this row and never closed", "close it, and double a quote within a text"
    elif "new-line character" in error:
        problem, remedy = "a bare carriage return", "end lines by a line feed, or quote the text that holds it"
    else:
        problem, remedy = f"not CSV: {error}", 'double a quote within a quoted text: "say ""hi"""'
    return InputError(problem, file=path, line=line, remedy=remedy)


def _source(path: Path, rows: Iterator[tuple[int, list[str]]], hint: str) -> Source:
    line, names = next(rows, (1, None))
    if names is None:
        raise InputError("is empty", file=path, remedy="begin with a header line that names the columns")
    names = [name.strip() for name in names]
    for name in names:
        if name and names.count(name) > 1:
            raise InputError(
                "two columns have this name", file=path, line=line, field=name, remedy="rename one of them"
            )
    blocks = _blocks(path, names, rows, hint)
    first = next(blocks, None)
    if first is None:
        raise InputError("holds a header and no rows", file=path, remedy="add rows below the header")
    return Source(str(path), names, lambda wanted: chain([first], blocks), typed=False)


def _blocks(path: Path, names: list[str], rows: Iterator[tuple[int, list[str]]], hint: str) -> Iterator[Block]:
    for places, held in batched(_of_width(path, len(names), rows, hint)):
        columns = dict(zip(names, map(list, zip(*held, strict=True)), strict=True))
        yield Block(names, places, columns.__getitem__)


def _of_width(
    path: Path, width: int, rows: Iterator[tuple[int, list[str]]], hint: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows, each of which must have `width` cells; blank lines may stand at the end alone."""
    blank = None
    for line, row in rows:
        if not row:
            blank = blank or line
        elif blank is not None:
            raise InputError("a blank line between rows", file=path, line=blank, remedy="remove it")
        elif len(row) != width:
            fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
            remedy = hint if len(row) > width else "give every row a field for each column"
            raise InputError(f"{fields} where the header names {width}", file=path, line=line, remedy=remedy)
        else:
            yield line, row

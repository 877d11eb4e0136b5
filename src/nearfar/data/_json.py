"""JSON lines and JSON lists as blocks of rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from nearfar.data._blocks import MISSING, Block, Source, batched
from nearfar.data.files import line_chunks, long_line, not_utf8, nul_byte, open_text
from nearfar.data.limits import max_line
from nearfar.errors import InputError

_CHARACTERS = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
_ONE_PER_LINE = "write one JSON object per line"


def open_jsonl(path: Path) -> Source:
    """Open a file of one JSON object per line; blank lines are skipped."""
    return _source(path, _line_blocks(path))


def open_json(path: Path) -> Source:
    """Open a `.json` file: a list of objects, or one object per line."""
    with open_text(path) as text:
        start = text.read(_CHARACTERS).lstrip()
    return _source(path, map(_block, batched(_list_items(path)))) if start.startswith("[") else open_jsonl(path)


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that is not blank.

    Raises:
        InputError: A line is not JSON, or not an object.
    """
    for start, data in line_chunks(path):
        yield from _objects(path, start, data)


def kind_of(value: object) -> str:
    """The JSON name of a value's type, with its article."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    names |= {bytes: "bytes"}
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _source(path: Path, blocks: Iterator[Block]) -> Source:
    first = next(blocks, None)
    if first is None:
        raise InputError("is empty", file=path, remedy=_ONE_PER_LINE)
    lists = [name for name in first.names if _is_text_list(first.column(name)[0])]
    return Source(str(path), list(first.names), lambda wanted: chain([first], blocks), lists=lists)


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _line_blocks(path: Path) -> Iterator[Block]:
    """Blocks of the lines of a file. The first rows, read value by value, give the types with which Arrow parses."""
    from nearfar.data._json_arrow import Types, infer_types, parse  # Arrow takes a while to import

    types: Types = {}
    for start, data in line_chunks(path):
        batch = parse(data, types)
        if batch is not None:
            places = range(start, start + batch.num_rows)
            yield Block(batch.schema.names, places, batch.column, partial(_by_value, path, start, data))
            continue
        for places, rows in batched(_objects(path, start, data)):
            types = infer_types(rows, types)
            yield _block((places, rows))


def _by_value(path: Path, start: int, data: bytes) -> Iterator[Block]:
    return map(_block, batched(_objects(path, start, data)))


def _block(placed: tuple[list[int], list[dict[str, Any]]]) -> Block:
    places, rows = placed
    return Block(
        dict.fromkeys(chain.from_iterable(rows)), places, lambda name: [row.get(name, MISSING) for row in rows]
    )


def _objects(path: Path, start: int, data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line of `data` that is not blank; `start` is the first line's number."""
    for number, line in enumerate(data.split(b"\n"), start):
        try:
            text = line.decode().rstrip("\r")
        except UnicodeDecodeError:
            raise not_utf8(path) from None
        if not text or text.isspace():
            continue
        try:
            row = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            raise _not_json(path, number, error) from None
        if not isinstance(row, dict):
            raise _no_object(path, number, row)
        yield number, row


class _DuplicateKeyError(ValueError):
    """A key that an object has more than once."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(next(name for name in names if names.count(name) > 1))
    return row


# By default Python keeps the last of duplicate keys without a warning.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _not_json(path: Path, line: int, error: Exception) -> InputError:
    if isinstance(error, json.JSONDecodeError):
        if "\0" in error.doc:
            return nul_byte(path, line)
        return InputError(
            f"invalid JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}",
            file=path,
            line=line,
            remedy=_ONE_PER_LINE,
        )
    if isinstance(error, _DuplicateKeyError):
        return InputError(f"duplicate key {str(error)!r} in an object", file=path, line=line, remedy="keep one")
    what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return InputError(f"unreadable JSON: {what}", file=path, line=line, remedy=_ONE_PER_LINE)


def _no_object(path: Path, line: int, value: object) -> InputError:
    if isinstance(value, list):
        remedy = f"{_ONE_PER_LINE}, or rename the file to .json if it is one list"
    else:
        remedy = f'{_ONE_PER_LINE}, such as {{"text": "..."}}'
    return InputError(f"expected an object, got {kind_of(value)}", file=path, line=line, remedy=remedy)


class _Window:
    """A section of a text that moves forward and counts lines."""

    def __init__(self, text: TextIO) -> None:
        self.text, self.held, self.at, self.line = text, "", 0, 1

    def grow(self) -> bool:
        # Doubling keeps the work linear when one object is longer than the window.
        more = self.text.read(max(_CHARACTERS, len(self.held) - self.at))
        self.held, self.at = self.held[self.at :] + more, 0
        return bool(more)

    def move(self, end: int) -> None:
        self.line += self.held.count("\n", self.at, end)
        self.at = end

    def next_sign(self) -> str:
        """Skip white space and return the next character, or an empty string at the end."""
        while True:
            space = _SPACE.match(self.held, self.at)
            self.move(space.end() if space else self.at)
            if self.at < len(self.held):
                return self.held[self.at]
            if not self.grow():
                return ""


def _list_items(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line and the value of each object of a JSON list, reading a section at a time."""
    decode, limit = _DECODER.raw_decode, max_line()
    with open_text(path) as text:
        window = _Window(text)
        window.next_sign()
        window.move(window.at + 1)  # the opening bracket
        sign = window.next_sign()
        while sign != "]":
            try:
                row, end = decode(window.held, window.at)
            except json.JSONDecodeError as error:
                line = window.line + window.held.count("\n", window.at, error.pos)
                if window.held[error.pos : error.pos + 1] == "\0":
                    raise nul_byte(path, line) from None
                if len(window.held) - window.at > limit:
                    raise long_line(path, window.line) from None
                if window.grow():  # the object may continue beyond the window
                    continue
                raise InputError(
                    f"invalid JSON: {error.msg.removesuffix(' at')}", file=path, line=line, remedy="fix the list here"
                ) from None
            except (ValueError, RecursionError) as error:
                raise _not_json(path, window.line, error) from None
            if not isinstance(row, dict):
                raise _no_object(path, window.line, row)
            yield window.line, row
            window.move(end)
            sign = window.next_sign()
            if sign == ",":
                window.move(window.at + 1)
                window.next_sign()
            elif sign != "]":
                found = repr(sign) if sign else "the end of the file"
                raise InputError(
                    f"invalid JSON: expected ',' or ']', got {found}",
                    file=path,
                    line=window.line,
                    remedy="close the list",
                )
        window.move(window.at + 1)
        if window.next_sign():
            raise InputError(
                "unexpected text after the end of the list",
                file=path,
                line=window.line,
                remedy="keep one list per file",
            )

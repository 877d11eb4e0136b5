"""JSON lines and JSON arrays as blocks of rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from nearfar.data._blocks import MISSING, Block, Source, batched
from nearfar.data.files import open_text
from nearfar.errors import InputError

_CHARACTERS = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
_ONE_A_LINE = "write one JSON object a line"


def open_jsonl(path: Path) -> Source:
    """Open a file of one JSON object a line; blank lines are passed over."""
    return _source(path, objects(path))


def open_json(path: Path) -> Source:
    """Open a `.json` file, which holds a list of objects, or one object a line."""
    with open_text(path) as text:
        start = text.read(_CHARACTERS).lstrip()
    return _source(path, _list_items(path) if start.startswith("[") else objects(path))


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that is not blank.

    Raises:
        InputError: A line is not JSON, or JSON but no object.
    """
    with open_text(path) as text:
        for number, line in enumerate(text, 1):
            try:
                row = _DECODER.decode(line)
            except (ValueError, RecursionError) as error:
                if line.isspace():
                    continue
                raise _not_json(path, number, error) from None
            if not isinstance(row, dict):
                raise _no_object(path, number, row)
            yield number, row


def kind_of(value: object) -> str:
    """Name the type of a value the way JSON does, with its article."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _source(path: Path, rows: Iterator[tuple[int, dict[str, Any]]]) -> Source:
    blocks = (_block(places, held) for places, held in batched(rows))
    first = next(blocks, None)
    if first is None:
        raise InputError("holds no rows", file=path, remedy=_ONE_A_LINE)
    return Source(str(path), list(first.names), lambda wanted: chain([first], blocks))


def _block(places: list[int], rows: list[dict[str, Any]]) -> Block:
    return Block(
        dict.fromkeys(chain.from_iterable(rows)), places, lambda name: [row.get(name, MISSING) for row in rows]
    )


class _TwiceError(ValueError):
    """A key that an object has twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return row


# Python's reader would keep the last of two equal keys and say nothing.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _not_json(path: Path, line: int, error: Exception) -> InputError:
    if isinstance(error, json.JSONDecodeError):
        return InputError(
            f"not JSON: {error.msg.removesuffix(' at')} at character {error.colno}",
            file=path,
            line=line,
            remedy=_ONE_A_LINE,
        )
    if isinstance(error, _TwiceError):
        return InputError(f"the key {str(error)!r} stands twice in an object", file=path, line=line, remedy="keep one")
    what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return InputError(f"not readable JSON: {what}", file=path, line=line, remedy=_ONE_A_LINE)


def _no_object(path: Path, line: int, value: object) -> InputError:
    if isinstance(value, list):
        remedy = f"{_ONE_A_LINE}, or end the file's name in .json if it is one list"
    else:
        remedy = f'{_ONE_A_LINE}, such as {{"text": "..."}}'
    return InputError(f"{kind_of(value)} where an object is due", file=path, line=line, remedy=remedy)


class _Window:
    """A stretch of a text that moves forward, and knows the line it stands at."""

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
        """Pass over white space and return the character that follows, or an empty text at the end."""
        while True:
            space = _SPACE.match(self.held, self.at)
            self.move(space.end() if space else self.at)
            if self.at < len(self.held):
                return self.held[self.at]
            if not self.grow():
                return ""


def _list_items(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the line and the value of each object of a JSON list, reading a stretch at a time."""
    decode = _DECODER.raw_decode
    with open_text(path) as text:
        window = _Window(text)
        window.next_sign()
        window.move(window.at + 1)  # the opening bracket, which the caller saw
        sign = window.next_sign()
        while sign != "]":
            try:
                row, end = decode(window.held, window.at)
            except json.JSONDecodeError as error:
                line = window.line + window.held.count("\n", window.at, error.pos)
                if window.grow():  # the object may go on beyond the window
                    continue
                raise InputError(
                    f"not JSON: {error.msg.removesuffix(' at')}", file=path, line=line, remedy="mend the list here"
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
                    f"not JSON: {found} where ',' or ']' is due", file=path, line=window.line, remedy="close the list"
                )
        window.move(window.at + 1)
        if window.next_sign():
            raise InputError(
                "text after the end of the list", file=path, line=window.line, remedy="keep one list a file"
            )

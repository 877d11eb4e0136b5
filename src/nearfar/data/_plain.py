"""Plain text as blocks of rows in the column `text`: documents separated by blank lines, or a text per line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from nearfar.data._blocks import Block, Source, batched
from nearfar.data.blanks import is_blank
from nearfar.data.files import nul_byte, open_text, text_lines
from nearfar.errors import InputError

#: Maximum length of a document in characters; longer ones are split, so that memory stays constant.
LONGEST = 1 << 20
#: Characters in one block of rows.
_AT_ONCE = 1 << 23


def open_plain(path: Path) -> Source:
    """Open a plain text file; blank lines separate documents, whose line breaks are kept."""
    blocks = _blocks(path)
    first = next(blocks, None)
    if first is None:
        raise InputError("is empty", file=path, remedy="name a file that contains text")

    def rows() -> Iterator[Block]:
        yield first
        yield from blocks

    return Source(str(path), ["text"], lambda wanted: rows())


def open_sentences(path: Path) -> Source:
    """Open a plain text file with one text per line; blank lines are skipped."""
    blocks = (Block(["text"], places, {"text": texts}.__getitem__) for places, texts in batched(_sentences(path)))
    first = next(blocks, None)
    if first is None:
        raise InputError("is empty", file=path, remedy="write one text per line")
    return Source(str(path), ["text"], lambda wanted: chain([first], blocks))


def _sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Yield numbered texts; a carriage return alone ends a line, too, as in files of old programs."""
    number = 0
    for line in text_lines(path):
        for part in line.rstrip("\r\n").split("\r") if "\r" in line else [line]:
            number += 1
            if part.strip():
                yield number, part.rstrip("\n")


def _blocks(path: Path) -> Iterator[Block]:
    places: list[int] = []
    texts: list[str] = []
    size = 0
    for place, text in _documents(path):
        places.append(place)
        texts.append(text)
        size += len(text)
        if size >= _AT_ONCE:
            yield Block(["text"], places, {"text": texts}.__getitem__)
            places, texts, size = [], [], 0
    if texts:
        yield Block(["text"], places, {"text": texts}.__getitem__)


def _documents(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of the first line and the text of each document."""
    held: list[str] = []
    start, size = 1, 0
    for number, line in _lines(path):
        if held and (not line or size > LONGEST):
            yield start, "\n".join(held)
            held, size = [], 0
        if line:
            if not held:
                start = number
            held.append(line)
            size += len(line)
    if held:
        yield start, "\n".join(held)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield numbered lines without line ends; lines longer than `LONGEST` are split."""
    with open_text(path) as text:
        number, begun = 1, False
        while piece := text.readline(LONGEST):
            if "\0" in piece:
                raise nul_byte(path, number)
            whole = piece.endswith("\n")
            line = piece.rstrip("\r\n") if whole else piece
            # The rest of a split line may be empty, which does not make a blank line.
            seen = not is_blank(line)
            if seen or not begun:
                yield number, line if seen else ""
            begun = not whole
            number += whole

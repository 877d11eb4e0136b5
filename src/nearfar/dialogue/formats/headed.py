"""Transcripts with the speaker and a time on a line of their own, as Teams and Otter write them.

Anna Schmidt   0:03
Hello, how can I help?

Ben   0:08
Where is my order?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from nearfar.data.times import CLOCK, DATE
from nearfar.dialogue.formats.names import is_name
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, cleaned, numbered, stem
from nearfar.dialogue.formats.plain import ordered, parsed
from nearfar.errors import InputError

_HEADER = re.compile(rf"([^\W\d_][^:]{{0,59}}?),? ?[(\[]?((?:{DATE},? ?)?(?<!\d){CLOCK})[)\]]?")
_START = 200


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file; lines before the first speaker are left out.

    Raises:
        InputError: a file cannot be read, or contains no speaker with a time.
    """
    for file in files:
        yield Dialogue(stem(file), _turns(file, context.about(file)))


def _turns(file: Path, notes: Notes) -> list[Spoken]:
    turns: list[tuple[int, str, str, list[str]]] = []
    for place, raw in numbered(file):
        line = cleaned(raw)
        header = _header(line)
        if header is not None:
            turns.append((place, *header, []))
        elif turns:
            turns[-1][3].append(line)
        elif line:
            notes.left_out("lines before the first turn", place)
    if not turns:
        raise InputError("contains no speaker with a time", file=file, remedy="remove the file, or add turns")
    spoken = [Spoken(name, " ".join(filter(None, parts)), place) for place, name, _, parts in turns]
    return ordered(spoken, [time for _, _, time, _ in turns], notes)


def _header(line: str) -> tuple[str, str] | None:
    """Name and time of a line that contains nothing else."""
    found = _HEADER.fullmatch(line) if len(line) < _START else None
    return (found[1].strip(), found[2]) if found is not None and is_name(found[1].strip()) else None


def _detect(head: Head) -> bool:
    """Whether at least two lines are headers with a text below, the first of them before any `Name: text`."""
    lines = head.lines[:60]
    headers = [_header(line) is not None for line in lines]
    named = [not header and bool(parsed(line, 0).name) for header, line in zip(headers, lines, strict=True)]
    if True in named and (True not in headers or named.index(True) < headers.index(True)):
        return False
    return sum(now and not after for now, after in pairwise(headers)) > 1


FORMAT = Format("names with a time above the text (Teams, Otter)", (".txt",), _detect, read)

"""Plain transcripts: one text file per dialogue, lines `Speaker: text`, with or without times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nearfar.data.files import list_folder, open_text
from nearfar.dialogue.log import Turn
from nearfar.errors import InputError

_DATE = r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,6})?(?: ?[AaPp]\.?[Mm]\.?)?(?:Z|[+-]\d{2}:?\d{2})?"
# No digit before or after: a line of digits can be matched in one way only, and so in linear time.
_TIME = rf"(?<!\d)(?:{_DATE}(?:[T,]? ?{_CLOCK})?|{_CLOCK})(?!\d)"
_IN_BRACKETS = rf"(?:\[ ?{_TIME} ?\]|\( ?{_TIME} ?\)|< ?{_TIME} ?>)"
_DASH = "[-\u2013\u2014|,]"
# Times before the speaker, and a line that contains only times, as in subtitles.
_LEADING = re.compile(rf"(?:(?:{_IN_BRACKETS}|{_TIME}) ?(?:-->|->|{_DASH})? ?)+")
_LEADING_BRACKETS = re.compile(rf"(?:{_IN_BRACKETS} ?)+")
_TIMES_ALONE = re.compile(rf"(?:{_IN_BRACKETS}|{_TIME}|-->|->|{_DASH}| )+")
# After the colon there is a space or the end of the line: not in "http://" or "10:30".
_SPEAKER = re.compile(rf"([^\W\d_][^:]{{0,59}}?) ?(?:{_DASH}? ?(?:{_IN_BRACKETS}|{_TIME}))? ?:(?: |$)(.*)")
_MOST_WORDS = 5


def is_transcripts(path: Path) -> bool:
    """Whether a path is a text file, or a folder of text files.

    Raises:
        InputError: a folder contains both transcripts and tables.
    """
    if path.is_file():
        return path.suffix.lower() == ".txt"
    if not path.is_dir():
        return False
    from nearfar.data.formats import FORMATS, format_of

    files = [file for file in list_folder(path) if file.is_file()]
    texts = [file for file in files if file.suffix.lower() == ".txt"]
    tables = [file for file in files if format_of(file) in FORMATS]
    if texts and tables:
        problem = f"contains transcripts ({texts[0].name}) and tables ({tables[0].name})"
        raise InputError(problem, file=path, remedy="remove one kind, or pass the path of the table")
    return bool(texts)


def read_transcripts(path: Path) -> Iterator[tuple[str, list[Turn]]]:
    """Yield the name and the turns of each transcript; the name is that of the file without its suffix.

    A line that does not begin with a speaker continues the previous turn.

    Raises:
        InputError: a file cannot be read, is empty, or begins with a line without a speaker.
    """
    files = [path] if path.is_file() else [file for file in list_folder(path) if file.suffix.lower() == ".txt"]
    for file in files:
        yield file.stem, _turns(file)


def _turns(file: Path) -> list[Turn]:
    turns: list[tuple[str, list[str]]] = []
    with open_text(file) as lines:
        for number, line in enumerate(lines, 1):
            line = " ".join(line.split())
            # Numbers and times of subtitles are not text.
            if not line or line.isdecimal() or line == "WEBVTT" or _TIMES_ALONE.fullmatch(line):
                continue
            found = _SPEAKER.match(_LEADING.sub("", line, count=1) if _LEADING.match(line) else line)
            if found and len(found[1].split()) <= _MOST_WORDS:
                turns.append((found[1].strip(), [_without_times(found[2])]))
            elif turns:
                turns[-1][1].append(_without_times(line))
            else:
                problem = f"expected a speaker at the beginning of the line, got {line[:40]!r}"
                remedy = "write turns like 'Agent: How can I help?'"
                raise InputError(problem, file=file, line=number, remedy=remedy)
    if not turns:
        raise InputError("contains no dialogue", file=file, remedy="remove the file, or add turns")
    return [(speaker, " ".join(part for part in parts if part)) for speaker, parts in turns]


def _without_times(text: str) -> str:
    """A text without leading times in brackets. A time without brackets may belong to it: "10:30 would be fine"."""
    found = _LEADING_BRACKETS.match(text)
    return text[found.end() :] if found else text

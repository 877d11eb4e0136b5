"""Transcripts with the speaker and a time on a line of their own, as Teams and Otter write them.

Anna Schmidt   0:03
Hello, how can I help?

[01/02/2024 9:05 AM] Ben        exports of Discord as text, chats copied from Teams
Where is my order?
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nearfar.data.times import CLOCK, DATE
from nearfar.dialogue.formats.names import in_sentence_case, is_name, is_role
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, cleaned, numbered, stem
from nearfar.dialogue.formats.plain import not_said, ordered, parsed
from nearfar.errors import InputError

_AT = r"(?:(?:at|um|à|a las|às|alle|klo|kl\.) )?"
_TODAY = r"(?:Today|Yesterday|Heute|Gestern|Aujourd.hui|Hier|Hoy|Ayer|Hoje|Ontem|Oggi|Ieri|Vandaag|Gisteren)"
_WHEN = rf"(?:(?:{DATE}|{_TODAY}),? ?{_AT})?(?<!\d){CLOCK}(?: Uhr| (?:UTC|GMT)(?:[+-]\d{{1,2}}(?::?\d{{2}})?)?)?"
# "0 minutes 3 seconds": what a screen reader says for 0:03.
_LENGTH = r"(?:\d+ (?:hours?|minutes?|seconds?) ?)+"
_NAME = r"[^:\s\[\](){}<>][^:\[\]<>]{0,59}?"
_BEHIND = re.compile(rf"({_NAME}),? ?(?:[-\u2013\u2014] ?)?(?:[(\[]?({_WHEN})[)\]]?|{_LENGTH}):?")
_BEFORE = re.compile(rf"\[({_WHEN})\] ?(?:[-\u2013\u2014] ?)?({_NAME})(?: \(pinned\))?")
# The time below the name: "- 01/02/2024 9:05 AM".
_ALONE = re.compile(rf"(?:[-\u2013\u2014] )?({_WHEN})")
_RULE = re.compile(r"[=*_-]{5,}")
# Parts of a message in Discord's exports that nobody wrote.
_PARTS = re.compile(r"\{(?:Attachments|Embed|Stickers|Reactions|Inline Emoji)\}")
# What Discord writes below the name of who began a thread, or of a program.
_TAGS = ("OP", "APP", "BOT")
_START = 200


@dataclass(frozen=True)
class _Header:
    """A line with a name and a time, which may be empty, or two lines.

    Args:
        place: The first line.
        above: Whether the line before it is blank or a rule.
        last: The last line.
    """

    place: int
    name: str
    time: str
    above: bool
    last: int


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file; lines before the first speaker are left out.

    Raises:
        InputError: a file cannot be read, or contains no speaker with a time.
    """
    for file in files:
        yield Dialogue(stem(file), _turns(file, context.about(file)))


def _turns(file: Path, notes: Notes) -> list[Spoken]:
    headers = _headers(file)
    times = {place for header in headers.values() for place in range(header.place + 1, header.last + 1)}
    turns: list[tuple[_Header, list[str]]] = []
    open_ = True  # whether a line belongs to the turn before it
    for place, raw in numbered(file):
        line = cleaned(raw)
        if not line or place in times:
            continue
        if header := headers.get(place):
            turns.append((header, []))
            open_ = True
        elif not turns:
            notes.left_out("lines before the first turn", place)
        elif _RULE.fullmatch(line) or _PARTS.fullmatch(line) or not open_:
            notes.left_out("lines after a rule, or with attachments and reactions", place)
            open_ = False
        elif unsaid := not_said(line):
            notes.left_out(unsaid, place)
        else:
            turns[-1][1].append(line)
    if not turns:
        raise InputError("contains no speaker with a time", file=file, remedy="remove the file, or add turns")
    spoken = [Spoken(header.name, " ".join(parts), header.place) for header, parts in turns]
    return ordered(spoken, [header.time for header, _ in turns], notes)


def _headers(file: Path) -> dict[int, _Header]:
    """The headers by line. "See you at 10:30" is none: it has no blank line above it, unlike most, or is a phrase."""
    found = list(_seen((place, cleaned(raw)) for place, raw in numbered(file)))
    apart = 2 * sum(header.above for header in found) > len(found)
    counts = Counter(header.name for header in found)
    return {
        header.place: header
        for header in found
        if (header.above or not apart)
        and (counts[header.name] > 1 or is_role(header.name) or not in_sentence_case(header.name))
    }


def _seen(lines: Iterable[tuple[int, str]]) -> Iterator[_Header]:
    """The lines that may be headers. Two lines, a name and a time, are one if a text is below them."""
    above = True
    name: _Header | None = None  # a line that a time may follow
    held: _Header | None = None  # two lines that a text may follow
    for place, line in lines:
        if line in _TAGS:
            continue
        header, alone = _header(line), _ALONE.fullmatch(line)
        if held is not None and line:
            if header is None and alone is None:
                yield held
            held = None
        if header:
            yield _Header(place, *header, above, place)
        elif name is not None and alone:
            time = "" if re.match(_TODAY, alone[1]) else alone[1]
            held = replace(name, time=time, last=place)
        names = header is None and ":" not in line and is_name(line)
        name = _Header(place, line, "", above, place) if names else None
        above = not line or _RULE.fullmatch(line) is not None


def _header(line: str) -> tuple[str, str] | None:
    """Name and time of a line that contains nothing else."""
    if len(line) >= _START:
        return None
    if found := _BEFORE.fullmatch(line):
        time, name = found[1], found[2]
    elif found := _BEHIND.fullmatch(line):
        name, time = found[1], found[2] or ""
    else:
        return None
    name = name.strip().rstrip(",")
    if not is_name(name):
        return None
    # The day of "yesterday" is not known.
    return name, "" if re.match(_TODAY, time) else time


def _detect(head: Head) -> bool:
    """Whether at least two lines are headers with a text below, the first of them before any `Name: text`."""
    lines = head.lines[:60]
    rules = [number for number, line in enumerate(lines[:12]) if _RULE.fullmatch(line)]
    if len(rules) > 1 and rules[0] == 0:
        lines = lines[rules[1] + 1 :]  # Discord's exports begin with facts between two rules
    seen = [parsed(line, 0) for line in lines]
    if any(line.name and line.bracketed for line in seen):
        return False  # "[10:31] Anna: hi"
    found = list(_seen(enumerate(lines)))
    taken = {number for header in found for number in (header.place, header.last)}
    first = min(taken, default=len(lines))
    if any(line.name for line in seen[:first]):
        return False
    counts = Counter(line.name for number, line in enumerate(seen) if line.name and number not in taken)
    # Lines `Name: text` below marks of time.
    repeated = sum(count for count in counts.values() if count > 1)
    names = {header.name for header in found}
    if repeated >= (2 * len(found) if len(names) < len(found) else 1):
        return False
    return sum(header.last + 1 < len(lines) and header.last + 1 not in taken for header in found) > 1


FORMAT = Format("names with a time above the text (Teams, Otter, Telegram, Discord)", (".txt",), _detect, read)

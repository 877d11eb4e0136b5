"""Plain transcripts: one dialogue per file, lines `Name: text`, with or without times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfar.data.times import CLOCK, DATE, Date, date_numbers, moments, seconds
from nearfar.dialogue.formats.names import Names, is_name, is_role
from nearfar.dialogue.formats.order import in_order, numbered_again
from nearfar.dialogue.formats.parts import (
    Context,
    Dialogue,
    Format,
    Head,
    Notes,
    Spoken,
    cleaned,
    numbered,
    stem,
    visible,
)
from nearfar.errors import InputError

# No digit before or after: a line of digits can be matched in one way only, and so in linear time.
_TIME = rf"(?<!\d)(?:{DATE}(?:[T,]? ?(?:(?:at|um|à|klo) )?{CLOCK})?|{CLOCK}|1\d{{9}}(?:\d{{3}})?)(?!\d)"
_SPAN = rf"{_TIME}(?: ?(?:-?->|[-\u2013]) ?{_TIME})?"
_IN_BRACKETS = rf"(?:\[ ?{_SPAN} ?\]|\( ?{_SPAN} ?\)|< ?{_SPAN} ?>)"
_DASH = "[-\u2013\u2014|,]"
_LEADING = re.compile(rf"(?:(?:{_IN_BRACKETS}|{_TIME}) ?(?:-->|->|{_DASH})? ?)+")
_LEADING_BRACKETS = re.compile(rf"(?:{_IN_BRACKETS} ?)+")
_TIMES_ALONE = re.compile(rf"(?:{_IN_BRACKETS}|{_TIME}|-->|->|{_DASH}| )+")
# Marks of lists, quotes and emphasis before a name, as Markdown has them: "- **Anna:** hi", "1. Anna: hi".
_MARKUP = re.compile(r"(?:[-+\u2022\u2013\u2014] |>{1,3} |\* |#{1,6} |\d{1,4}[.)] )*[*_]{0,3}")
_TIME_BEHIND = re.compile(rf" ?(?:{_DASH} ?)?(?:{_IN_BRACKETS}|{_TIME})$")
# "<anna> hi" and "<@anna> hi" of IRC, and "<v Anna>hi" of WebVTT.
_NICK = re.compile(r"<(?:v(?:\.[^\s>]*)? |[@+~&%!])?([^\W\d][^<>:/|=]{0,59})(?:\|[^<>]*)?>(?! ?:)")
# "[SPEAKER_00] hi" of programs that tell voices apart.
_ROLE = re.compile(r"[\[(]([^\[\]()]{1,60})[\])] (?=\S)")
_TAG = re.compile(r"</?(?i:b|i|u|p|em|strong|span|div|font|li|ul|td|tr|h\d|br ?/?)(?: [^<>]*)?>")
_PAGE = re.compile(r"\s*<(?:!doctype|html)\b", re.IGNORECASE)
# Programs write how grave a line is: "2024-05-01 10:11:12 INFO Agent: hi".
_LEVEL = re.compile(r"\[?(?:DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|TRACE)\b\]?:? ?(?:[-|] )?")
# The name in a column of its own, as some programs for chats write logs.
_IN_COLUMNS = re.compile(rf"({_TIME})\t([^\t]{{1,60}})\t(.*)", re.DOTALL)
# "[Anna has left]", "(laughs)", "*** call ended ***", "--- part 2 ---".
_NOT_SAID = re.compile(r"\[[^\[\]]*\]|\([^()]*\)|\*{3}.*\*{3}|-{2,} .* -{2,}|={2,}.*={2,}|~{2,}.*~{2,}")
_NOTICE = re.compile(
    r"[^:]{1,60} (?:started|stopped) (?:the )?(?:transcription|recording)\.?|Transcribed by https?://\S+|"
    r"Meeting ended after [\d:]+.*"
)
# The colon, the full-width one, and characters that look like one.
_COLON = re.compile("[:\uff1a\ufe55\ufe13\u2236\ua789]")
_CLOCK, _DATE = re.compile(CLOCK), re.compile(rf"(?<!\d){DATE}")
#: Only so much of a line may contain its time and its speaker, so that hostile lines cost little.
_START = 300

_MOST_NAMES = 50

READ_LIKE = "write turns like 'Agent: How can I help?'"


@dataclass(frozen=True)
class Line:
    """A line as the reader sees it.

    Args:
        place: Its number.
        name: What may be a speaker; empty if nothing may.
        text: The text after the name, or the whole line.
        whole: The line without its time.
        time: The time at its beginning or beside the name; empty if it has none.
        bracketed: Whether such a time alone tells that the line is no text.
        spaced: Whether the colon has a space after it.
    """

    place: int
    name: str
    text: str
    whole: str
    time: str = ""
    bracketed: bool = False
    spaced: bool = True

    @property
    def timed(self) -> bool:
        """Whether a time tells that the name is a speaker, not the beginning of a phrase: "at 10:30: maybe"."""
        return bool(self.time) and (self.bracketed or not self.name[:1].islower())


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file.

    A line without a speaker continues the turn before it. A line with a time and without a speaker is no turn, and is
    left out; so is one in brackets or between marks: "[Anna has left]".

    Raises:
        InputError: a file cannot be read, contains no turn, or begins with a line without a speaker.
    """
    names = Names(context.known)
    for file in files:
        names.add_file([(line.name, line.text, line.timed, line.spaced) for line in lines(file) if line.name])
    for file in files:
        yield Dialogue(stem(file), _turns(file, names, context.about(file)))


def lines(file: Path) -> Iterator[Line]:
    """Yield the lines of a file that are neither blank nor only numbers or times."""
    for place, raw in numbered(file):
        line = _line(raw, place)
        if line is not None:
            yield line


def _line(raw: str, place: int) -> Line | None:
    columns = _IN_COLUMNS.match(visible(raw[:_START])) if "\t" in raw else None
    if columns is not None and not columns[2].rstrip().endswith(":"):
        name, text = cleaned(columns[2]), cleaned(raw.split("\t", 2)[2])
        return Line(place, name if is_name(name) else "", text, text, columns[1], True)
    line = _without_tags(cleaned(raw))
    return parsed(line, place) if line and not line.isdecimal() and not _TIMES_ALONE.fullmatch(line) else None


def parsed(line: str, place: int) -> Line:
    """What a cleaned line contains."""
    line = _without_tags(line)
    start, rest = line[:_START], line
    leading = _LEADING.match(start)
    time, bracketed = "", False
    if leading is not None and leading.end() < len(line):
        time, rest = leading[0], line[leading.end() :]
        bracketed = line[0] in "[(<"
        if level := _LEVEL.match(rest):
            rest = rest[level.end() :]
    # A time without brackets may be the beginning of a text.
    whole = rest if bracketed else line
    name, text, beside, spaced = split_name(rest)
    if name:
        return Line(place, name, without_times(text), whole, time or beside, bracketed, spaced)
    return Line(place, "", whole, whole, time, bracketed)


def split_name(line: str) -> tuple[str, str, str, bool]:
    """The name at the beginning of a line, the text after the colon, a time beside the name, and whether the colon
    has a space after it; the name is empty if there is none."""
    start = line[:_START]
    if found := _NICK.match(start):
        return found[1].strip(), line[found.end() :].removesuffix("</v>").strip(), "", True
    colon = _speaker_colon(start)
    if colon is None:
        role = _ROLE.match(start)
        return (role[1].strip(), line[role.end() :], "", True) if role and is_role(role[1]) else ("", line, "", True)
    at, spaced = colon
    markup = _MARKUP.match(start[:at])
    name = start[markup.end() if markup else 0 : at].strip()
    text = line[at + 1 :].strip()
    emphasis = markup[0].strip()[-1:] if markup else ""
    if emphasis and emphasis in "*_":
        # The closing marks stand before or behind the colon.
        name, text = name.rstrip("*_ "), text.lstrip("*_").lstrip() if not name.endswith(emphasis) else text
    beside = _TIME_BEHIND.search(name)
    time = ""
    if beside is not None:
        time, name = beside[0], name[: beside.start()]
    name = name.strip("*_ ")
    if len(name) > 2 and (name[0], name[-1]) in (("[", "]"), ("(", ")"), ("<", ">")):
        name = name[1:-1].strip()
    return (name, text, time, spaced) if is_name(name) else ("", line, "", True)


def _without_tags(line: str) -> str:
    """A line that begins with a tag of HTML, without tags."""
    return _TAG.sub("", line).strip() if line.startswith("<") and _TAG.match(line[:_START]) else line


def _speaker_colon(start: str) -> tuple[int, bool] | None:
    """Where the colon after the name stands, and whether a space, or a script without spaces, follows it."""
    for found in _COLON.finditer(start):
        at = found.start()
        after = start[at + 1 : at + 2]
        if found[0] != ":" or not after or after in " *_":
            return at, True
        before = start[at - 1 : at]
        if after.isalpha() and not before.isdigit():
            # Without a space after it, as in "Agent:hi" and, where scripts have no spaces, always.
            return at, not after.isascii() and not before.isascii()
        if not (after.isdigit() and before.isdigit()):
            return None  # neither a time such as 10:30 nor a name: "http://", ":)"
    return None


def _turns(file: Path, names: Names, notes: Notes) -> list[Spoken]:
    found = list(lines(file))
    speaking = [line for line in found if line.name and names.is_speaker(line.name)]
    # Where most turns have a time, a line without one continues the turn before it.
    timed = 2 * sum(bool(line.time) for line in speaking) > len(speaking)
    sure = {line.name.casefold() for line in speaking if line.time}.union(names.known)
    turns: list[tuple[Line, list[str]]] = []
    words: list[Line] = []
    open_ = True  # whether a line without a speaker continues a turn
    for line in found:
        speaks = bool(line.name) and names.is_speaker(line.name)
        if speaks and (not timed or line.time or line.name.casefold() in sure or is_role(line.name)):
            turns.append((line, [line.text]))
            open_ = True
        elif not line.name and (unsaid := not_said(line.whole)):
            notes.left_out(unsaid, line.place)
        elif line.time and (timed or line.bracketed):
            notes.left_out("lines with a time and without a speaker", line.place)
            open_ = False
        elif not turns and line.name:
            notes.left_out("lines before the first turn", line.place)
        elif not turns:
            shown = line.whole[:40]
            problem = f"expected a speaker at the beginning of the line, got {shown!r}"
            raise InputError(problem, file=file, line=line.place, remedy=READ_LIKE)
        elif not open_:
            notes.left_out("lines after one without a speaker", line.place)
        else:
            turns[-1][1].append(without_times(line.whole))
            words += [line] if line.name else []
    if not turns:
        raise InputError("contains no dialogue", file=file, remedy=f"remove the file, or {READ_LIKE}")
    if words:
        quoted = ", ".join(dict.fromkeys(repr(line.name) for line in words[:3]))
        at = ", ".join(str(line.place) for line in words[:3]) + ", ..." * (len(words) > 3)
        notes.remarks.append(
            f"read {quoted} before a colon as text of the turn, not as a speaker (line {at}); "
            f"use --speakers to name all speakers if this is wrong"
        )
    if numbers := names.say_no_words({line.name for line, _ in turns}):
        shown = ", ".join(map(repr, numbers))
        notes.remarks.append(f"no turn of {shown} contains a word; use --speakers to choose the speakers")
    spoken = [Spoken(line.name, " ".join(filter(None, parts)), line.place) for line, parts in turns]
    if within := _names_within(spoken):
        at = ", ".join(map(str, within[:3])) + ", ..." * (len(within) > 3)
        notes.remarks.append(f"the name of a speaker and a colon are inside a turn (line {at}); write a turn per line")
    return ordered(spoken, [line.time for line, _ in turns], notes)


def _names_within(turns: list[Spoken]) -> list[int]:
    """The lines of turns that contain the name of a speaker and a colon: several turns may be on one line."""
    names = sorted({turn.speaker for turn in turns}, key=len, reverse=True)[:_MOST_NAMES]
    inside = re.compile(rf"(?<=[\s.!?\u3002])(?:{'|'.join(map(re.escape, names))}) ?(?:: |\uff1a)")
    return [turn.place for turn in turns if inside.search(turn.text)]


def not_said(line: str) -> str | None:
    """What a line is that nobody says; None if somebody may say it."""
    if _NOT_SAID.fullmatch(line):
        return "lines in brackets or between marks, which nobody says"
    return "notices of programs" if _NOTICE.fullmatch(line) else None


def ordered(turns: list[Spoken], times: Sequence[str], notes: Notes) -> list[Spoken]:
    """The turns in the order of their times, if all have one; a note says where that is not the order of the file."""
    clocks = [_CLOCK.search(_DATE.sub(" ", time)) for time in times]
    if not all(clocks):
        return turns
    dates: list[Date | None] = [date_numbers(day[0]) if (day := _DATE.search(time)) else None for time in times]
    if any(dates) and not all(dates):
        return turns  # the day of some is not known
    written = [clock[0] for clock in clocks if clock is not None]
    if not any(dates) and len({clock.count(":") > 1 for clock in written}) > 1:
        # Calls are counted in minutes and seconds until the first hour is over.
        written = [clock if clock.count(":") > 1 else f"0:{clock}" for clock in written]
    found = moments(dates, [seconds(clock) for clock in written])
    turns, note = in_order(numbered_again(turns, found))
    if note is not None:
        notes.remarks.append(note)
    return turns


def without_times(text: str) -> str:
    """A text without leading times in brackets. A time without brackets may belong to it: "10:30 would be fine"."""
    found = _LEADING_BRACKETS.match(text[:_START])
    return text[found.end() :] if found else text


def _detect(head: Head) -> bool:
    if _PAGE.match(head.text):
        return False
    found = (_line(raw, 0) for raw in head.text.split("\n", 100)[:100])
    return any(line is not None and line.name for line in found)


FORMAT = Format("lines like 'Name: text'", (".txt", ".text", ".log"), _detect, read)

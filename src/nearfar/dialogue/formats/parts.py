"""What every format of dialogue logs is read into, and what of it was left out."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nearfar.data.files import long_line, not_utf8, nul_byte, open_lines, open_text, unpacked_name
from nearfar.data.limits import max_text

HEAD = 1 << 16
"""Number of characters at the beginning of a file from which its format is seen."""

NAMED = 3
"""Number of lines that a note names."""

# Marks of writing direction, byte order marks and spaces without width: they are invisible, and programs put them at
# the beginning of a line, around names and into dates. Joiners (U+200C, U+200D) are part of words and emoji.
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u061c\u180e\u200b\u200e\u200f\u2060\ufeff"))
_INVISIBLE |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


@dataclass(frozen=True)
class Spoken:
    """One turn.

    Args:
        speaker: The name as the file writes it.
        text: What was said; may be empty.
        place: The line on which it begins, or the number of the message.
        time: Seconds, comparable within one dialogue; None if unknown.
    """

    speaker: str
    text: str
    place: int
    time: float | None = None


@dataclass
class Notes:
    """What a reader has to say about one file: what did not become a turn, with its first places, and other remarks.

    Args:
        file: The file.
        unit: What places are: `line`, `message` or `step`.
    """

    file: Path
    unit: str = "line"
    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def left_out(self, what: str, place: int) -> None:
        """Count something that did not become a turn; `what` completes "left out (3): "."""
        self.counts[what] += 1
        if len(self.places.setdefault(what, [])) < NAMED:
            self.places[what].append(place)


def in_one_line_each(notes: Sequence[Notes]) -> list[str]:
    """One line for each kind of thing that was left out of the files, with the first places; then the remarks."""
    counts = Counter[str]()
    places: dict[str, list[str]] = {}
    for note in notes:
        counts.update(note.counts)
        for what, numbers in note.places.items():
            joint = ":" if note.unit == "line" else f": {note.unit} "
            places.setdefault(what, []).extend(f"{note.file}{joint}{number}" for number in numbers)
    found = []
    for what, count in counts.items():
        shown = ", ".join(places[what][:NAMED]) + ", ..." * (count > NAMED)
        found.append(f"left out {count:,} {what} ({shown})")
    remarks = [f"{note.file}: {remark}" for note in notes for remark in note.remarks]
    more = len(remarks) - NAMED
    return found + remarks[:NAMED] + ([f"{more:,} more such notes about other files"] if more > 0 else [])


@dataclass(frozen=True)
class Context:
    """What readers are told, and where they write their notes.

    Args:
        known: Names of speakers that the user gave, case-folded.
        notes: One for each file, in the order of reading.
    """

    known: frozenset[str] = frozenset()
    notes: list[Notes] = field(default_factory=list)

    def about(self, file: Path, unit: str = "line") -> Notes:
        """New notes about a file."""
        self.notes.append(Notes(file, unit))
        return self.notes[-1]


@dataclass(frozen=True)
class Dialogue:
    """The name and the turns of one dialogue."""

    name: str
    turns: list[Spoken]


@dataclass(frozen=True)
class Head:
    """The beginning of a file, by which its format is known.

    Args:
        path: The file.
        text: Its first `HEAD` characters, with line feeds as line ends and without a byte order mark.
    """

    path: Path
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines that are not blank, cleaned."""
        return [line for line in map(cleaned, self.text.split("\n")) if line]


@dataclass(frozen=True)
class Format:
    """One format of dialogue logs.

    Args:
        name: Its name in messages.
        suffixes: Suffixes of its files; a final `.gz` or `.zst` is ignored.
        detect: Whether a file is of this format.
        read: Yields the dialogues of files of this format.
    """

    name: str
    suffixes: tuple[str, ...]
    detect: Callable[[Head], bool]
    read: Callable[[Sequence[Path], Context], Iterator[Dialogue]]


def cleaned(text: str) -> str:
    """A text without invisible characters, every stretch of white space as one space."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """A text without marks of writing direction and other characters without width."""
    return text if text.isascii() else text.translate(_INVISIBLE)


def head_of(path: Path) -> Head:
    """Read the beginning of a file.

    Raises:
        InputError: As for `nearfar.data.open_text`.
    """
    with open_text(path) as text:
        return Head(path, visible(re.sub("\r\n?", "\n", text.read(HEAD))))


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers; a line feed, a carriage return or both end a line.

    So do Unicode's separators of lines, which editors do not count.

    Raises:
        InputError: As for `nearfar.data.open_text`, or the file contains a NUL character.
    """
    limit = max_text()
    with open_lines(path) as raw:
        try:
            text = io.TextIOWrapper(raw, encoding="utf-8", newline=None)
            number = 0
            while line := text.readline(limit + 1):
                number += 1
                if "\0" in line:
                    raise nul_byte(path, number)
                if len(line) > limit:
                    raise long_line(path, number, limit)
                if line.isascii() and line.isprintable():
                    yield number, line
                    continue
                for part in line.splitlines():
                    yield number, part
        except UnicodeDecodeError:
            raise not_utf8(path) from None


def stem(path: Path) -> str:
    """The name of a dialogue: that of its file without the suffix."""
    return Path(unpacked_name(path)).stem

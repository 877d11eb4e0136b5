"""Subtitles: WebVTT, which Teams and Zoom write as transcripts of meetings, and SubRip (SRT).

00:00:03.120 --> 00:00:06.480
<v Anna Schmidt>Hello, how can I help?</v>      Teams; in Zoom's files: Anna Schmidt: Hello, how can I help?
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfar.data.times import seconds
from nearfar.dialogue.formats.names import Names, is_name
from nearfar.dialogue.formats.order import in_order
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, cleaned, numbered, stem
from nearfar.dialogue.formats.plain import split_name
from nearfar.errors import InputError

_CLOCK = r"(?:\d{1,4}:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,3})?"
# What follows on the line is where the cue is shown. A line with a text is one of a plain transcript.
_TIMING = re.compile(rf"({_CLOCK}) ?--> ?{_CLOCK}(?: (?:align|position|line|size|region|vertical|[XY][12]):\S+)*")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]*)>")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|\{\\[^{}]*\}")
# Webex writes the name beside the number of the cue: 12 "Anna Schmidt" (3456).
_NUMBERED = re.compile(r'\d+ "([^"]*)" \(\d+\)')
_UTTERANCE = re.compile(r"(.+)[-/]\d+$")
_ENDS = tuple(".!?\u2026\u3002\uff01\uff1f\u061f\"'\u201d)")
# Marks of another speaker, who is not named, and of what nobody says: "(music)".
_CHANGES = (">>", "- ", "\u2013 ", "\u2014 ")
_SOUND = re.compile(r"[(\[\u266a\u266b].*[)\]\u266a\u266b]|[\u266a\u266b ]+")
_BLOCKS = ("NOTE", "STYLE", "REGION")


@dataclass
class _Cue:
    place: int
    start: float
    identity: str
    lines: list[str]
    name: str = ""


@dataclass(frozen=True)
class _Piece:
    """A part of a cue with one voice, without a name where none is given; `further` if not the cue's first."""

    place: int
    start: float
    utterance: str
    name: str
    text: str
    voiced: bool
    spaced: bool = True
    further: bool = False


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file.

    A cue without a speaker continues the sentence of the cue before it; where that sentence had ended, or other cues
    have voices, nobody can tell who speaks, and the cue is left out. Cues of one speaker are
    one turn as long as the sentence goes on.

    Raises:
        InputError: a file cannot be read, or no cue names its speaker.
    """
    names = Names(context.known)
    for file in files:
        pieces = [piece for cue in _named_cues(file) for piece in _pieces(cue) if piece.name]
        names.add_file([(piece.name, piece.text, piece.voiced, piece.spaced) for piece in pieces])
    for file in files:
        yield Dialogue(stem(file), _turns(file, names, context.about(file)))


def _turns(file: Path, names: Names, notes: Notes) -> list[Spoken]:
    turns: list[Spoken] = []
    utterance = ""
    used, open_ = False, False  # whether the last piece became part of a turn, and whether its sentence goes on
    pieces = [piece for cue in _named_cues(file) for piece in _pieces(cue)]
    voices = any(piece.voiced for piece in pieces)  # then every cue that somebody says has one
    for piece in pieces:
        name, text = piece.name, piece.text
        if name and not piece.voiced and not names.is_speaker(name):
            name, text = "", f"{name}: {text}"
        same = bool(turns) and name == turns[-1].speaker
        one = same and bool(piece.utterance) and piece.utterance == utterance
        unknown = not name and (voices or text.startswith(_CHANGES) or _SOUND.fullmatch(text) is not None)
        if unknown:
            notes.left_out("cues without a speaker", piece.place)
            used = False
            continue
        if used and (one or (open_ and (same or not name)) or (piece.further and not name)):
            last = turns[-1]
            turns[-1] = Spoken(last.speaker, f"{last.text} {text}".strip(), last.place, last.time)
        elif name:
            turns.append(Spoken(name, text, piece.place, piece.start))
        else:
            notes.left_out("cues without a speaker", piece.place)
            used = False
            continue
        utterance, used, open_ = piece.utterance, True, not text.endswith(_ENDS)
    if not turns:
        remedy = "write the name in each cue: <v Anna>text, or Anna: text"
        raise InputError("no cue names its speaker", file=file, remedy=remedy)
    turns, note = in_order(turns)
    if note is not None:
        notes.remarks.append(note)
    return turns


def _named_cues(file: Path) -> list[_Cue]:
    """The cues, with the names that Webex and older versions of Teams write beside their numbers or above the texts."""
    cues = list(_cues(file))
    above = _names_above(cues)
    for cue in cues:
        if found := _NUMBERED.fullmatch(cue.identity):
            cue.name = cleaned(found[1])
        elif above:
            cue.name = cue.lines.pop(0)
    return cues


def _names_above(cues: list[_Cue]) -> bool:
    """Whether the first lines of all cues are the names of a few speakers."""
    if not cues or any(len(cue.lines) < 2 for cue in cues):
        return False
    first = [cue.lines[0] for cue in cues]
    few = len(set(first)) < len(first) and len(set(first)) <= max(2, len(first) // 2)
    return few and all(is_name(name) and ":" not in name and not name.endswith((*_ENDS, ",")) for name in first)


def _cues(file: Path) -> Iterator[_Cue]:
    held: _Cue | None = None
    before, skipping = "", False
    for place, raw in numbered(file):
        line = cleaned(raw)
        timing = _TIMING.fullmatch(line)
        if timing is not None:
            if held is not None:
                if held.lines and held.lines[-1] == before and _follows(held.identity, before):
                    held.lines.pop()  # the number of this cue, which no blank line separates from the text
                yield held
            held, skipping = _Cue(place, seconds(_three(timing[1])), before, []), False
        elif not line:
            if held is not None:
                yield held
            held, skipping = None, False
        elif held is not None:
            held.lines.append(line)
        elif not skipping and line.partition(" ")[0] in _BLOCKS:
            skipping = True
        before = line
    if held is not None:
        yield held


def _follows(number: str, other: str) -> bool:
    return number.isdecimal() and other.isdecimal() and int(other) == int(number) + 1


def _three(clock: str) -> str:
    """Hours, minutes and seconds: WebVTT leaves out hours that are 0, Teams the first 0 of 03."""
    padded = re.sub(r"(?<!\d)\d(?=[:.,]|$)", r"0\g<0>", clock)
    return padded if padded.count(":") == 2 else f"0:{padded}"


def _pieces(cue: _Cue) -> Iterator[_Piece]:
    utterance = found[1] if (found := _UTTERANCE.match(cue.identity)) else ""
    text = " ".join(cue.lines)
    if cue.name:
        yield _Piece(cue.place, cue.start, "", cue.name, _said(text), True)
        return
    marks = list(_VOICE.finditer(text))
    bounds = [*(mark.start() for mark in marks), len(text)]
    if before := _said(text[: bounds[0]]):
        yield from _by_lines(cue, utterance) if not marks else [_Piece(cue.place, cue.start, "", "", before, False)]
    for mark, end in zip(marks, bounds[1:], strict=True):
        name = cleaned(html.unescape(mark[1]))
        yield _Piece(cue.place, cue.start, utterance, name, _said(text[mark.end() : end]), True)


def _by_lines(cue: _Cue, utterance: str) -> Iterator[_Piece]:
    """The pieces of a cue without voices; two people may speak in one cue: "- Anna: Hi." and "- Ben: Hello."."""
    for number, line in enumerate(cue.lines):
        name, text, _, spaced = split_name(_said(line))
        yield _Piece(cue.place, cue.start, utterance, name, text, False, spaced, number > 0)


def _said(text: str) -> str:
    return cleaned(html.unescape(_TAG.sub("", text)))


def _detect(head: Head) -> bool:
    lines = head.lines
    return bool(lines) and (lines[0].startswith("WEBVTT") or any(map(_TIMING.fullmatch, lines[:50])))


FORMAT = Format("WebVTT and SRT", (".vtt", ".srt", ".txt"), _detect, read)

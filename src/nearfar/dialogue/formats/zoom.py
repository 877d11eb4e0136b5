"""Chats of meetings that Zoom saves.

    10:01:02 From Anna Schmidt to Everyone : hi     up to version 5.8
    10:01:02 From Anna Schmidt to Everyone:         later: the text is on the next lines
            hi

Chats saved with a meeting, `00:01:02<tab>Anna Schmidt:<tab>hi`, are lines of `Name: text` with times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nearfar.data.times import DATE, moments, seconds
from nearfar.dialogue.formats.order import in_order, numbered_again
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, cleaned, numbered, stem
from nearfar.errors import InputError

# "from" and "to" in the languages of the app.
_WORDS = {
    "From": "to",
    "Von": "an",
    "De": "a|\u00e0|para|pour",
    "Da": "a",
    "Van": "aan|naar",
    "Fra": "til",
    "Från": "till",
    "Od": "do",
    "Dari": "kepada|ke",
    "Từ": "đến|tới",
    "\u041e\u0442": "\u043a|кому",
    "从": "至|到|发送给|给",
    "從": "至|到|傳送給|給",
    "開始": "から|宛先",
    "시작": "받는 사람|수신자",
    "发件人": "收件人",
}
_HEADER = re.compile(
    rf"(?:{DATE} )?(\d{{1,2}}:\d{{2}}:\d{{2}}) ({'|'.join(_WORDS)}) (.{{1,200}}?) ?[:\uff1a](?: (.*)|$)"
)
_REACTION = re.compile(r"(?:Reacted to \".*\" with|Removed an? .+ reaction from \")", re.DOTALL)
_REPLY = re.compile(r"Replying to \".*?\"$")


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file. Reactions, and the quotes above replies, are left out.

    Raises:
        InputError: a file cannot be read, begins with something else than a message, or has no message.
    """
    for file in files:
        yield Dialogue(stem(file), _turns(file, context.about(file)))


def _turns(file: Path, notes: Notes) -> list[Spoken]:
    messages: list[tuple[int, str, str, list[str]]] = []
    for place, raw in numbered(file):
        line = cleaned(raw)
        if found := _HEADER.match(line):
            name = re.split(rf" (?:{_WORDS[found[2]]}) ", found[3], maxsplit=1)[0]
            messages.append((place, found[1], name, [found[4] or ""]))
        elif line and messages:
            messages[-1][3].append(line)
        elif line:
            problem = f"expected a time and a sender, got {line[:40]!r}"
            raise InputError(problem, file=file, line=place, remedy="remove what is before the first message")
    turns, clocks = [], []
    for place, clock, name, parts in messages:
        kept = [part for part in parts if part and not _REPLY.match(part)]
        text = " ".join(kept)
        if _REACTION.match(text):
            notes.left_out("reactions", place)
            continue
        turns.append(Spoken(name, text, place))
        clocks.append(seconds(clock))
    if not turns:
        raise InputError("contains no message", file=file, remedy="remove the file, or save the chat again")
    turns, note = in_order(numbered_again(turns, moments([None] * len(clocks), clocks)))
    if note is not None:
        notes.remarks.append(note)
    return turns


def _detect(head: Head) -> bool:
    return _HEADER.match(next(iter(head.lines), "")) is not None


FORMAT = Format("Zoom chat", (".txt",), _detect, read)

"""Exports of Discord channels as JSON or CSV, as DiscordChatExporter writes them: one dialogue per file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nearfar.data.formats import format_of, open_file
from nearfar.data.times import iso_seconds
from nearfar.dialogue.formats.order import in_order, numbered_again
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, stem
from nearfar.dialogue.formats.plain import ordered
from nearfar.dialogue.formats.raw_json import distinct, load_json
from nearfar.errors import InputError

#: Types of messages that somebody wrote; the others say who joined, what was pinned, and the like.
_SPOKEN = ("Default", "Reply", "ChatInputCommand", "ContextMenuCommand", "0", "19", "20", "23")
_KEYS = (re.compile(r'"guild"\s*:\s*\{'), re.compile(r'"channel"\s*:\s*\{'))
_HEADER = re.compile(r'"?AuthorID"?[,;]"?Author"?[,;]"?Date"?[,;]"?Content"?[,;\n]')


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file.

    Raises:
        InputError: a file is not JSON or CSV, or has no messages.
    """
    for file in files:
        csv = format_of(file) == ".csv"
        notes = context.about(file, "line" if csv else "message")
        if csv:
            turns = _of_csv(file, notes)
        else:
            turns, note = in_order(list(_turns(file, notes)))
            if note is not None:
                notes.remarks.append(note)
        yield Dialogue(stem(file), turns)


def _of_csv(file: Path, notes: Notes) -> list[Spoken]:
    rows: list[tuple[int, str, str, str, str]] = []
    needed = ("AuthorID", "Author", "Date", "Content")
    for block in open_file(file).blocks(needed):
        rows += zip(block.places, *(block.column(name) for name in needed), strict=True)
    names = distinct((identity, author) for _, identity, author, _, _ in rows)
    turns = []
    for place, identity, author, _, text in rows:
        if author.strip():
            turns.append(Spoken(names[identity, author], text, place))
        else:
            notes.left_out("messages without a sender", place)
    dates = [date for _, _, author, date, _ in rows if author.strip()]
    times = [iso_seconds(date) for date in dates]
    if None in times:
        return ordered(turns, dates, notes)
    turns, note = in_order(numbered_again(turns, [time for time in times if time is not None]))
    if note is not None:
        notes.remarks.append(note)
    return turns


def _turns(file: Path, notes: Notes) -> Iterator[Spoken]:
    export = load_json(file)
    messages = export.get("messages") if isinstance(export, dict) else None
    if not isinstance(messages, list):
        raise InputError("expected a list of messages", file=file, field="messages", remedy="export the channel again")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            problem = f"message {number}: expected an object, got {message!r:.40}"
            raise InputError(problem, file=file, remedy="export the channel again")
    names = distinct(_author(message) for message in messages)
    for number, message in enumerate(messages, 1):
        identity, name = _author(message)
        if str(message.get("type", "Default")) not in _SPOKEN:
            notes.left_out("messages about the channel, not of a person", number)
        elif not name:
            notes.left_out("messages without a sender", number)
        else:
            text = message.get("content")
            time = iso_seconds(str(message.get("timestamp", "")))
            yield Spoken(names[identity, name], text if isinstance(text, str) else "", number, time)


def _author(message: dict[str, Any]) -> tuple[str, str]:
    """What identifies the author of a message, and the name that others see; empty if there is none."""
    author = message.get("author")
    if not isinstance(author, dict):
        return "", ""
    names = [author.get(key) for key in ("nickname", "name", "id")]
    name = next((name for name in names if isinstance(name, str) and name.strip()), "")
    number = author.get("discriminator")
    handle = author.get("name")
    identity = f"{handle}#{number}" if isinstance(number, str) and number.strip("0") else handle
    return str(identity or author.get("id") or name), name


def _detect(head: Head) -> bool:
    if format_of(head.path) == ".csv":
        return _HEADER.match(head.text) is not None
    return head.text.lstrip().startswith("{") and all(key.search(head.text) for key in _KEYS)


FORMAT = Format("Discord export", (".json", ".csv"), _detect, read)

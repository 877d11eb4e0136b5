"""Exports of Discord channels as JSON, as DiscordChatExporter writes them: one dialogue per file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nearfar.data.times import iso_seconds
from nearfar.dialogue.formats.order import in_order
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, stem
from nearfar.dialogue.formats.raw_json import load_json
from nearfar.errors import InputError

#: Types of messages that somebody wrote; the others say who joined, what was pinned, and the like.
_SPOKEN = ("Default", "Reply", "ChatInputCommand", "ContextMenuCommand", "0", "19", "20", "23")
_BEGINNING = re.compile(r'\s*\{\s*"guild"\s*:')


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per file.

    Raises:
        InputError: a file is not JSON, or has no messages.
    """
    for file in files:
        notes = context.about(file, "message")
        turns, note = in_order(list(_turns(file, notes)))
        if note is not None:
            notes.remarks.append(note)
        yield Dialogue(stem(file), turns)


def _turns(file: Path, notes: Notes) -> Iterator[Spoken]:
    export = load_json(file)
    messages = export.get("messages") if isinstance(export, dict) else None
    if not isinstance(messages, list):
        raise InputError("expected a list of messages", file=file, field="messages", remedy="export the channel again")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            problem = f"message {number}: expected an object, got {message!r:.40}"
            raise InputError(problem, file=file, remedy="export the channel again")
        author, text = message.get("author"), message.get("content")
        names = (author.get(key) for key in ("nickname", "name", "id")) if isinstance(author, dict) else ()
        name = next((name for name in names if isinstance(name, str) and name.strip()), None)
        if str(message.get("type", "Default")) not in _SPOKEN:
            notes.left_out("messages about the channel, not of a person", number)
        elif name is None:
            notes.left_out("messages without a sender", number)
        else:
            yield Spoken(
                name, text if isinstance(text, str) else "", number, iso_seconds(str(message.get("timestamp", "")))
            )


def _detect(head: Head) -> bool:
    return _BEGINNING.match(head.text) is not None and '"channel"' in head.text


FORMAT = Format("Discord export", (".json",), _detect, read)

"""Exports of Telegram as JSON: of one chat, or of all chats of an account. One dialogue per chat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nearfar.data.times import iso_seconds
from nearfar.dialogue.formats.order import in_order
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, stem
from nearfar.dialogue.formats.raw_json import distinct, load_json
from nearfar.errors import InputError

_CHAT = re.compile(r'"type"\s*:\s*"\w+"\s*,\s*"id"\s*:\s*-?\d+\s*,\s*"messages"\s*:\s*\[')


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield one dialogue per chat; a chat without a name is named after its file.

    Raises:
        InputError: a file is not JSON, or has no chats.
    """
    seen: dict[str, int] = {}
    for file in files:
        notes = context.about(file, "message")
        for chat in _chats(file):
            title = chat.get("name")
            name = title if isinstance(title, str) and title.strip() else stem(file)
            seen[name] = seen.get(name, 0) + 1
            turns, note = in_order(list(_turns(chat, file, notes)))
            if note is not None:
                notes.remarks.append(f"{name}: {note}")
            yield Dialogue(name if seen[name] == 1 else f"{name} ({seen[name]})", turns)


def _chats(file: Path) -> list[dict[str, Any]]:
    export = load_json(file)
    chats: object = [export]
    if isinstance(export, dict) and "messages" not in export:
        parts = [export.get(key) for key in ("chats", "left_chats")]
        lists = [part.get("list") for part in parts if isinstance(part, dict)]
        chats = [chat for found in lists if isinstance(found, list) for chat in found]
    if not isinstance(chats, list) or not all(
        isinstance(chat, dict) and isinstance(chat.get("messages"), list) for chat in chats
    ):
        raise InputError("expected chats with messages", file=file, remedy="export the chat again")
    return chats


def _turns(chat: dict[str, Any], file: Path, notes: Notes) -> Iterator[Spoken]:
    for number, message in enumerate(chat["messages"], 1):
        if not isinstance(message, dict):
            problem = f"message {number}: expected an object, got {message!r:.40}"
            raise InputError(problem, file=file, remedy="export the chat again")
    names = distinct(_sender(message) for message in chat["messages"])
    for number, message in enumerate(chat["messages"], 1):
        if message.get("type", "message") != "message":
            notes.left_out("messages about the chat, not of a person", number)
        elif not _sender(message)[1]:
            notes.left_out("messages without a sender", number)
        else:
            time = iso_seconds(str(message.get("date", "")))
            yield Spoken(names[_sender(message)], _text(message.get("text")), number, time)


def _sender(message: dict[str, Any]) -> tuple[str, str]:
    """The ID and the name of the sender; an account that was deleted has no name but its ID."""
    found = [str(message.get(key) or "").strip() for key in ("from_id", "from")]
    identity, name = found
    return identity, name or identity


def _text(text: object) -> str:
    """A text, or the texts of its parts: strings, and objects for links, mentions and the like."""
    if isinstance(text, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in text]
        return "".join(part for part in parts if isinstance(part, str))
    return text if isinstance(text, str) else ""


def _detect(head: Head) -> bool:
    return head.text.lstrip().startswith("{") and _CHAT.search(head.text) is not None


FORMAT = Format("Telegram export", (".json",), _detect, read)

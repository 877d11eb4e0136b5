"""Exports of Slack: a folder per channel with one JSON file per day, and `users.json` beside the channels.

A thread is a dialogue; what is said outside of threads is one dialogue per channel and day.
"""

from __future__ import annotations

import html
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nearfar.dialogue.formats.order import in_order
from nearfar.dialogue.formats.parts import Context, Dialogue, Format, Head, Notes, Spoken, stem
from nearfar.dialogue.formats.raw_json import distinct, first_object, load_json
from nearfar.errors import InputError

#: Subtypes that are messages of a person or a program; the others say who joined, and the like.
_SPOKEN = (None, "bot_message", "thread_broadcast", "me_message", "file_share", "reply_broadcast", "file_comment")
_LINK = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")


def read(files: Sequence[Path], context: Context) -> Iterator[Dialogue]:
    """Yield threads, and the days of channels.

    Raises:
        InputError: a file is not JSON, or not a list of messages.
    """
    several = len({file.parent for file in files}) > 1
    found: dict[str, list[Spoken]] = defaultdict(list)
    users: dict[Path, dict[str, str]] = {}
    notes: dict[str, Notes] = {}
    for file in files:
        folder = file.parent
        if folder not in users:
            users[folder] = _users(folder)
        about = context.about(file, "message")
        channel = f"{folder.name}/" if several else ""
        for name, turn in _turns(file, users[folder], about):
            found[channel + name].append(turn)
            notes.setdefault(channel + name, about)
    for name, turns in found.items():
        ordered, note = in_order(turns)
        if note is not None:
            notes[name].remarks.append(f"{name}: {note}")
        yield Dialogue(name, ordered)


def _turns(file: Path, users: dict[str, str], notes: Notes) -> Iterator[tuple[str, Spoken]]:
    messages = load_json(file)
    if not isinstance(messages, list):
        raise InputError("expected a list of messages", file=file, remedy="export the channel again")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            problem = f"message {number}: expected an object, got {message!r:.40}"
            raise InputError(problem, file=file, remedy="export the channel again")
        try:
            time = float(message["ts"])
        except (KeyError, TypeError, ValueError):
            time = math.nan
        if not math.isfinite(time):
            notes.left_out("messages without a time", number)
            continue
        name = _name(message, users)
        if message.get("type", "message") != "message" or message.get("subtype") not in _SPOKEN:
            notes.left_out("messages about the channel, not of a person", number)
        elif name is None:
            notes.left_out("messages without a sender", number)
        else:
            text = _plain(_text(message), users)
            thread = message.get("thread_ts")
            yield (f"thread {thread}" if thread else stem(file)), Spoken(name, text, number, time)


def _text(message: dict[str, Any]) -> str:
    """The text of a message; of a program's message without one, the texts of its attachments and blocks."""
    text = message.get("text")
    if isinstance(text, str) and text.strip():
        return text
    found = []
    for part in [*_objects(message.get("attachments")), *_objects(message.get("blocks"))]:
        inner = part.get("text")
        texts = (inner.get("text") if isinstance(inner, dict) else inner, part.get("fallback"))
        found += [text for text in texts if isinstance(text, str) and text.strip()][:1]
    return " ".join(found)


def _objects(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _name(message: dict[str, Any], users: dict[str, str]) -> str | None:
    user = message.get("user")
    found = users.get(user) if isinstance(user, str) else None
    if found is None:
        found = _of_profile(message.get("user_profile"))
    if found is None and isinstance(message.get("bot_profile"), dict):
        found = message["bot_profile"].get("name")
    for other in (message.get("username"), user, message.get("bot_id")):
        if found is None and isinstance(other, str) and other.strip():
            found = other
    return found if isinstance(found, str) else None


def _users(folder: Path) -> dict[str, str]:
    """Names by ID of `users.json`, in the folder or in the one that contains it."""
    for file in (folder / "users.json", folder.parent / "users.json"):
        if file.is_file():
            users = load_json(file)
            entries = [user for user in users if isinstance(user, dict)] if isinstance(users, list) else []
            names = {user.get("id"): _of_profile(user.get("profile")) or _of_profile(user) for user in entries}
            pairs = [(key, name) for key, name in names.items() if isinstance(key, str) and name is not None]
            return {key: name for (key, _), name in distinct(pairs).items()}
    return {}


def _of_profile(profile: object) -> str | None:
    if not isinstance(profile, dict):
        return None
    names = (profile.get(key) for key in ("display_name", "real_name", "name"))
    return next((name for name in names if isinstance(name, str) and name.strip()), None)


def _plain(text: str, users: dict[str, str]) -> str:
    """A text with names instead of Slack's codes: `<@U1>`, `<#C1|general>`, `<https://x.org|this>`, `&lt;`."""

    def shown(found: re.Match[str]) -> str:
        code, label = found[1], found[2]
        if code.startswith("@"):
            return "@" + (label or users.get(code[1:], code[1:]))
        if code.startswith(("#", "!")):
            return ("#" if code[0] == "#" else "@") + (label or code[1:])
        return label or code.removeprefix("mailto:")

    return html.unescape(_LINK.sub(shown, text))


def _detect(head: Head) -> bool:
    message = first_object(head.text, "[")
    if message is None or message.get("type", "message") != "message":
        return False
    return "ts" in message or ("type" in message and "user" in message)


FORMAT = Format("Slack export", (".json",), _detect, read)

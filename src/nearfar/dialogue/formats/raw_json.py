"""JSON files of chats: seen by their beginning, read as a whole."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nearfar.data.files import open_text
from nearfar.errors import InputError

MOST_CHARACTERS = 1 << 28
"""Maximum size of a file that is read as a whole: a small compressed file can become any size."""


def first_object(text: str, opening: str) -> dict[str, Any] | None:
    """The first object of a JSON list (`opening` is "[") at the beginning of a text; None if there is none."""
    start = re.match(rf"\s*{re.escape(opening)}\s*", text)
    if start is None:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start.end())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def load_json(file: Path) -> Any:
    """The value of a JSON file.

    Raises:
        InputError: it cannot be read, or is not JSON.
    """
    try:
        with open_text(file) as text:
            content = text.read(MOST_CHARACTERS + 1)
        if len(content) > MOST_CHARACTERS:
            problem = f"contains more than {MOST_CHARACTERS:,} characters"
            raise InputError(problem, file=file, remedy="export a shorter period")
        return json.loads(content)
    except json.JSONDecodeError as error:
        problem = f"invalid JSON: {error.msg} at character {error.colno}"
        raise InputError(problem, file=file, line=error.lineno, remedy="export the chat again") from None
    except RecursionError:
        raise InputError("unreadable JSON: nested too deeply", file=file, remedy="export the chat again") from None


def distinct(people: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What to call people, given as pairs of an ID and a name: the ID is added to a name that several have."""
    pairs = dict.fromkeys(people)
    counts = Counter(name for _, name in pairs)
    return {pair: pair[1] if counts[pair[1]] == 1 else f"{pair[1]} ({pair[0]})" for pair in pairs}

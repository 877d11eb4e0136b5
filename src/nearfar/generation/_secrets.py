"""Keeping a key out of every text that is shown or written, and a server's control characters out of the terminal."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from urllib.parse import unquote

from nearfar.errors import InputError

__all__ = ["check_key", "one_line", "without_key"]

#: So many consecutive characters of a key count as the key; a shorter key is looked for as a whole.
LEAST = 8
_HIDDEN = "***"
# One character of a text, as it may be written: %73, \u0073, \x73, &#115;, or itself.
_CHARACTER = re.compile(
    r"%([0-9a-f]{2})|\\+u([0-9a-f]{4})|\\+x([0-9a-f]{2})|&#x([0-9a-f]{1,4});|&#([0-9]{1,5});|(.)",
    re.DOTALL | re.IGNORECASE,
)


def check_key(key: str, variable: str) -> None:
    """Check that a key can be sent in a header. The message does not contain it.

    Raises:
        InputError: it contains a line break, a space, a control character, or one beyond ASCII.
    """
    if key and not re.fullmatch(r"[!-~]+", key):
        problem = f"the key in the environment variable {variable} contains a line break, a space or another character"
        raise InputError(f"{problem} that no key contains", remedy="set the variable to the key alone, in one line")


def without_key(key: str, text: str) -> str:
    """A text with *** in place of a key and of its parts: split, in other case, escaped or encoded, too."""
    if not key:
        return text
    text = decoded = _hidden(key, text)
    for _ in range(3):
        decoded = html.unescape(unquote(decoded))
        if _hidden(key, decoded) != decoded:
            return "(not shown: it contains the key)"
    return text


def _hidden(key: str, text: str) -> str:
    raw = key.encode()
    for secret in (key, key[::-1], base64.b64encode(raw).decode().rstrip("="), raw.hex()):
        text = _hide(secret, text, lambda each: each.isalnum() or each in secret)  # noqa: B023 - called at once
        letters = "".join(filter(str.isalnum, secret))
        if len(letters) >= LEAST:
            text = _hide(letters, text, str.isalnum)
    return text


def one_line(text: str, longest: int = 200) -> str:
    """A text for the terminal: one line, with control characters and those that turn its direction as escapes."""
    shown = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in " ".join(text.split())
    )
    return shown[:longest]


def _hide(secret: str, text: str, counts: Callable[[str], bool]) -> str:
    """What does not count may stand between the characters of a secret: spaces, quotes, commas, invisible ones."""
    wanted = secret.casefold()
    size = min(len(wanted), LEAST)
    windows = {wanted[start : start + size] for start in range(len(wanted) - size + 1)}
    characters: list[str] = []
    places: list[tuple[int, int]] = []
    for match in _CHARACTER.finditer(text):
        percent, short, hexadecimal, entity, decimal, plain = match.groups()
        code = percent or short or hexadecimal or entity
        character = plain or chr(int(code, 16) if code else int(decimal))
        if counts(character):
            characters.append(character.casefold()[0])
            places.append(match.span())
    read = "".join(characters)
    found: list[tuple[int, int]] = []
    for start in range(len(read) - size + 1):
        if read[start : start + size] in windows:
            span = places[start][0], places[start + size - 1][1]
            if found and span[0] <= found[-1][1]:
                found[-1] = found[-1][0], span[1]
            else:
                found.append(span)
    for begin, end in reversed(found):
        text = text[:begin] + _HIDDEN + text[end:]
    return text

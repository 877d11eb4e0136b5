"""Plain text: made safe to write, and measured and shortened without the font's own metrics."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NARROW = frozenset("ijltfrI.,:;'|!()[] -/`")
_BROAD = frozenset("mwMW@%…")
_SIGNS = frozenset("+\N{MINUS SIGN}\N{MULTIPLICATION SIGN}=<>~^#&")


def plain(value: object) -> str:
    """``value`` as text: characters that HTML or UTF-8 cannot contain become U+FFFD, and Markup becomes plain text."""
    text = str.__str__(value) if isinstance(value, str) else str(value)
    return _UNWRITABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def escaped(value: object) -> Markup:
    """The HTML that shows ``value`` literally, whatever it contains."""
    return escape(plain(value))


def text_width(text: str, size: float) -> float:
    """Width in pixels of ``text`` in a sans-serif font of ``size`` pixels; an estimate that is rather too large."""
    return size * sum(map(_em, text))


def shorten(text: str, width: float, size: float) -> str:
    """``text`` on one line, truncated with an ellipsis if it is wider than ``width`` pixels."""
    line = " ".join(text.split())
    if text_width(line, size) <= width:
        return line
    room = width - text_width("…", size)
    kept = 0
    for character in line:
        room -= size * _em(character)
        if room < 0:
            break
        kept += 1
    return line[:kept].rstrip() + "…"


def wrap(text: str, width: float, size: float, lines: int) -> list[str]:
    """``text`` broken at spaces into at most ``lines`` lines of ``width`` pixels; the last line is truncated."""
    words, broken = text.split(), []
    while words and len(broken) < lines - 1:
        count = 1
        while count < len(words) and text_width(" ".join(words[: count + 1]), size) <= width:
            count += 1
        broken.append(shorten(" ".join(words[:count]), width, size))
        words = words[count:]
    return [*broken, shorten(" ".join(words), width, size)] if words else broken


def _em(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in _NARROW:
        return 0.4
    if character in _BROAD:
        return 1.0
    if character in _SIGNS:
        return 0.84
    return 0.72 if character.isupper() else 0.64

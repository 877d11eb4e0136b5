"""Names of actions that are unique in a file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nearfar.reports.text import plain

if TYPE_CHECKING:
    from nearfar.dialogue.result import Flow

# XML 1.0 excludes these too.
_NO_CHARACTERS = re.compile("[\ufffe\uffff]")
_LONGEST = 48


def activities(flow: Flow) -> list[str]:
    """A unique name for each action, such as `agent: Which city?`, with a number behind it where two would be equal."""
    speakers = [flow.log.speakers[speaker] for speaker in flow.actions.speaker.tolist()]
    return unique(clean(f"{who}: {of.name}") for who, of in zip(speakers, flow.described, strict=True))


def slugs(names: Iterable[str], otherwise: str) -> list[str]:
    """A unique identifier of lower-case letters, digits and underscores for each name.

    Args:
        names: The names.
        otherwise: The identifier of a name without a letter or digit of ASCII.
    """
    found = []
    for name in names:
        ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        found.append("_".join(re.findall(r"[a-z0-9]+", ascii_.replace("'", "")))[:_LONGEST].strip("_") or otherwise)
    return unique(found, "_{}")


def unique(names: Iterable[str], mark: str = " ({})") -> list[str]:
    """The same names, where one that occurred before gets a number that no other name has."""
    names = list(names)
    taken, found = set(names), []
    seen: dict[str, int] = {}
    for name in names:
        number = seen.get(name, 0) + 1
        new = name
        while number > 1 and (new := name + mark.format(number)) in taken:
            number += 1
        seen[name] = number
        taken.add(new)
        found.append(new)
    return found


def clean(text: str) -> str:
    """A text on one line, without the characters that XML and UTF-8 exclude."""
    return " ".join(_NO_CHARACTERS.sub("\ufffd", plain(text)).split())

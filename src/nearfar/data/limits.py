"""How long a text and a line may be: a broken or hostile file must not use up the memory."""

from __future__ import annotations

import os

from nearfar.errors import InputError

#: The environment variable that sets the maximum size of a text in bytes.
VARIABLE = "NEARFAR_MAX_TEXT"
#: The option of the command line, which sets that variable.
OPTION = "--max-text"
MAX_TEXT = 1 << 20
#: A line contains several texts, such as the turns of a dialogue.
MAX_LINE = 32 << 20


def max_text() -> int:
    """Maximum size of one text in bytes of UTF-8: 1 MiB, or what the environment variable says.

    Raises:
        InputError: the variable is not a whole number above 0.
    """
    found = os.environ.get(VARIABLE)
    if not found:
        return MAX_TEXT
    if not found.isdecimal() or int(found) < 1:
        raise InputError(f"invalid value {found!r}", field=VARIABLE, remedy="set it to a number of bytes, or unset it")
    return int(found)


def max_line() -> int:
    """Maximum size of a line, and of one object in a JSON list, in bytes: more than a single text."""
    return max(MAX_LINE, 2 * max_text())


def too_long(size: int) -> tuple[str, str]:
    """Problem and remedy for a text of so many bytes."""
    problem = f"the text has {size:,} bytes, more than the limit of {max_text():,}"
    return problem, f"split or remove it, or raise the limit: {OPTION} {size}, or {VARIABLE}={size}"


def line_too_long(limit: int) -> tuple[str, str]:
    """Problem and remedy for a line that is longer than a limit, which follows from that for texts."""
    problem = f"the line has more than {limit:,} bytes"
    raised = f"{OPTION} BYTES, or {VARIABLE}=BYTES"
    return problem, f"remove it, or raise the limit for texts, from which that of lines follows: {raised}"

"""Names of the variants of the training rows, on the command line and in results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nearfar.errors import InputError

__all__ = ["FIELD", "check_names", "named", "parse_variants"]

FIELD = "--variant"


def named(name: str, variant: str) -> str:
    """The name of a recipe on a variant in results; an empty variant stands for the rows of `data`."""
    return f"{name}+{variant}" if variant else name


def parse_variants(given: Sequence[str]) -> dict[str, str]:
    """Variants as the command line has them: `mined=triplets.jsonl`.

    Raises:
        InputError: One is not NAME=FILE, or a name is listed twice.
    """
    found: dict[str, str] = {}
    for each in given:
        name, _, source = (part.strip() for part in each.partition("="))
        if not name or not source:
            raise InputError(f"expected NAME=FILE, got {each!r}", field=FIELD, remedy="use e.g. mined=triplets.jsonl")
        if name in found:
            raise InputError(f"the name {name!r} is listed twice", field=FIELD, remedy="give each its own name")
        found[name] = source
    return found


def check_names(names: Iterable[str]) -> None:
    """Check that names can be parts of those of results and files.

    Raises:
        InputError: A name has other characters than letters, digits, `_`, `.` and `-`.
    """
    for name in names:
        if not re.fullmatch(r"[\w.-]+", name):
            problem = f"invalid name {name!r}: must have only letters, digits, '_', '.' and '-'"
            raise InputError(problem, field=FIELD, remedy="use e.g. mined=triplets.jsonl")

"""Decoding methods, one file each: every `methods/<name>.py` with a `METHOD` is listed."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from nearfar.decoding.method import Method
from nearfar.errors import InputError

__all__ = ["Method", "get", "names"]


def names() -> list[str]:
    """The names of all decoding methods, as on the command line."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Method:
    """The decoding method of that name, with hyphens or underscores.

    Raises:
        InputError: There is no such method.
    """
    known, asked = names(), name.replace("_", "-")
    if asked not in known:
        close = difflib.get_close_matches(asked, known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"must be one of {', '.join(known)}"
        raise InputError(f"unknown decoding {name!r}", field="--decoding", remedy=remedy)
    return importlib.import_module(f"{__name__}.{asked.replace('-', '_')}").METHOD

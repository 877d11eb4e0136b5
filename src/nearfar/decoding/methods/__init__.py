"""One file a way of decoding, found by its file: put `methods/<name>.py` with a `METHOD` here, and it is listed."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from nearfar.decoding.method import Method
from nearfar.errors import InputError

__all__ = ["Method", "get", "names"]


def names() -> list[str]:
    """The names of all ways of decoding, as the command line has them."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def get(name: str) -> Method:
    """The way of decoding of that name, with hyphens or underscores.

    Raises:
        InputError: there is none.
    """
    known, asked = names(), name.replace("_", "-")
    if asked not in known:
        close = difflib.get_close_matches(asked, known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"
        raise InputError(f"there is no decoding {name!r}", field="--decoding", remedy=remedy)
    return importlib.import_module(f"{__name__}.{asked.replace('-', '_')}").METHOD

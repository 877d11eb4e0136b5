"""One file a paper. A recipe is found by its file: put `recipes/<name>.py` with a `RECIPE` here, and it is listed."""

from __future__ import annotations

import difflib
import importlib
import pkgutil

from nearfar.errors import InputError
from nearfar.recipes._recipe import Paper, Plan, Recipe

__all__ = ["Paper", "Plan", "Recipe", "get", "names"]


def names() -> list[str]:
    """The names of all recipes, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: there is none.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}"
        raise InputError(f"there is no recipe {name!r}", field="RECIPE", remedy=remedy)
    return importlib.import_module(f"{__name__}.{name}").RECIPE

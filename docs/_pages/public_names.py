"""The public names of a module, for the API page: what its `__all__` lists, wherever that is defined."""

from __future__ import annotations

import importlib
import inspect
from types import ModuleType
from typing import Any


def entries(module: str, seen: set[str]) -> str:
    """One line per name, in mkdocstrings' format. Skips names in `seen`, which are on the page already."""
    lines = []
    for value in _public(importlib.import_module(module)):
        path = f"{value.__module__}.{value.__qualname__}"
        if path not in seen:
            seen.add(path)
            lines.append(f"::: {path}")
    return "\n\n".join(lines)


def _public(module: ModuleType) -> list[Any]:
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
    found = [getattr(module, name) for name in names]
    return [value for value in found if inspect.isclass(value) or inspect.isfunction(value)]

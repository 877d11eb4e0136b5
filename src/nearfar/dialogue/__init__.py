"""Dialogue logs to a workflow graph. Importing this package imports nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfar.dialogue.exports import write
    from nearfar.dialogue.extraction import Flow, flow
    from nearfar.dialogue.graph import Rules
    from nearfar.dialogue.log import Log
    from nearfar.dialogue.reading import read

_HOME = {
    "Flow": "extraction",
    "Log": "log",
    "Rules": "graph",
    "flow": "extraction",
    "read": "reading",
    "write": "exports",
}

__all__ = ["Flow", "Log", "Rules", "flow", "read", "write"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

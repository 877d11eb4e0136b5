"""From dialogue logs to a workflow graph. Importing this package imports nothing heavy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfar.dialogue.exports import write
    from nearfar.dialogue.extraction import flow
    from nearfar.dialogue.graph import Rules
    from nearfar.dialogue.log import Log
    from nearfar.dialogue.options import FlowOptions
    from nearfar.dialogue.reading import read
    from nearfar.dialogue.result import Flow
    from nearfar.dialogue.speakers import Casting

_HOME = {
    "Casting": "speakers",
    "Flow": "result",
    "FlowOptions": "options",
    "Log": "log",
    "Rules": "graph",
    "flow": "extraction",
    "read": "reading",
    "write": "exports",
}

__all__ = ["Casting", "Flow", "FlowOptions", "Log", "Rules", "flow", "read", "write"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

"""The commands by name. Each is imported and built when it is asked for: start-up pays for one of them."""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

# In the order of the help. Each is a module `nearfar.cli.NAME` with a function `command`, or, if it has commands of its
# own, a Typer `app`.
_NAMES = (
    "recipes",
    "train",
    "compare",
    "evaluate",
    "inspect",
    "mine",
    "encode",
    "predict",
    "search",
    "generate",
    "distill",
    "fuse",
    "export",
    "push",
    "verify",
    "flow",
    "sweep",
    "demo",
    "refine",
)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Built({**dict.fromkeys(_NAMES), **self.commands})


class _Built(UserDict[str, Any]):
    """Commands by name; None until one is asked for."""

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            self.data[name] = _build(name)
        return self.data[name]


def _build(name: str) -> Any:
    module = import_module(f"nearfar.cli.{name}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(module.command)
    return typer.main.get_command(app)

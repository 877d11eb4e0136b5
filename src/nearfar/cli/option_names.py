"""Errors name options as the user typed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nearfar.errors import InputError
from nearfar.settings import FIELD as SETTINGS

__all__ = ["of_option"]

# Several options of a command name a model, and an error does not say which of them it is about.
_AMBIGUOUS = ("model",)


def of_option(error: InputError, root: Callable[[], Any], arguments: Sequence[str]) -> InputError:
    """An error about an option of the command names it as it is typed: `--range-max`, not `range_max`.

    An unknown setting is named by `--set`. A setting may have the name of an option, so what --set gives is left as it
    is, and so is a column of a file.

    Args:
        error: The error.
        root: Makes the command of the whole program.
        arguments: Those of the command line.
    """
    if error.file is not None or error.field is None or error.field in _AMBIGUOUS or error.field.startswith("--"):
        return error
    name = "--set" if error.field == SETTINGS else _options(root(), arguments).get(error.field)
    if name is None or error.field in _set(arguments):
        return error
    return InputError(error.problem, field=name, remedy=error.remedy)


def _options(command: Any, arguments: Sequence[str]) -> dict[str, str]:
    """The options of the command that the arguments begin with, by the names of their fields."""
    for argument in arguments:
        inner = getattr(command, "commands", {}).get(argument)
        if inner is None:
            break
        command = inner
    names = {each.name.rstrip("_"): next(iter(each.opts), "") for each in command.params}
    return {field: name for field, name in names.items() if name.startswith("--")}


def _set(arguments: Sequence[str]) -> set[str]:
    """The names of the settings that are given by --set."""
    before = ("", *arguments)
    given = [each for option, each in zip(before, arguments, strict=False) if option == "--set"]
    given += [each.removeprefix("--set=") for each in arguments if each.startswith("--set=")]
    return {each.partition("=")[0].strip().replace("-", "_") for each in given}

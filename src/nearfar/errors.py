"""The exception for invalid user input."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """Invalid user input. The message is one line: where, what, and how to fix it.

    The command line prints this line and exits with code 2.

    Args:
        problem: What is wrong, with the given value.
        file: The file with the error.
        line: The line of the error, from 1.
        field: The column or option with the error.
        remedy: How to fix it.

    Example:
        >>> print(InputError("expected a number, got 'high'", file="a.csv", line=7, field="score", remedy="use 0 to 5"))
        a.csv:7: score: expected a number, got 'high'; use 0 to 5
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.field, self.remedy = problem, file, line, field, remedy
        where = "" if file is None else f"{file}:{line}: " if line is not None else f"{file}: "
        name = "" if field is None else f"{field}: "
        then = "" if remedy is None else f"; {remedy}"
        super().__init__(" ".join(f"{where}{name}{problem}{then}".split()))


@contextmanager
def about(file: str | Path | None, columns: Collection[str]) -> Iterator[None]:
    """Add the file to an InputError about rows or a column, raised by code that does not know the file."""
    try:
        yield
    except InputError as error:
        if file is None or error.file is not None or error.field not in (None, *columns):
            raise
        raise InputError(error.problem, file=file, line=error.line, field=error.field, remedy=error.remedy) from error


@contextmanager
def passed_as(option: str) -> Iterator[None]:
    """Name the option with which a model was passed, in an InputError whose field is missing or `model`.

    Example:
        >>> with passed_as("--amateur"):
        ...     raise InputError("is not a language model", file="minilm")
        Traceback (most recent call last):
        nearfar.errors.InputError: minilm: --amateur: is not a language model
    """
    try:
        yield
    except InputError as error:
        if error.field not in (None, "model"):
            raise
        raise InputError(error.problem, file=error.file, line=error.line, field=option, remedy=error.remedy) from error


@contextmanager
def renamed(**fields: str) -> Iterator[None]:
    """Give the fields of an InputError other names: those of the options with which the user set them.

    Example:
        >>> with renamed(model="--judge"):
        ...     raise InputError("not found", field="model")
        Traceback (most recent call last):
        nearfar.errors.InputError: --judge: not found
    """
    try:
        yield
    except InputError as error:
        if error.file is not None or error.field not in fields:
            raise
        raise InputError(error.problem, field=fields[error.field], remedy=error.remedy) from error

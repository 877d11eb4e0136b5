"""The one exception for a mistake in what the user passed in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """What the user passed in is wrong. Its text is one line: where, what, and the remedy.

    The command line prints that line and exits with code 2.

    Args:
        problem: What is wrong, with the value as it was given.
        file: The file that holds the mistake.
        line: Its line, counted from 1.
        field: The column or option that holds it.
        remedy: What to do about it.

    Example:
        >>> str(InputError("'high' is not a number", file="sts.csv", line=7, field="score", remedy="write 0.8"))
        "sts.csv:7: score: 'high' is not a number; write 0.8"
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
    """Name the file in an InputError of code that sees its rows alone, where it speaks of them or of one column."""
    try:
        yield
    except InputError as error:
        if file is None or error.file is not None or error.field not in (None, *columns):
            raise
        raise InputError(error.problem, file=file, line=error.line, field=error.field, remedy=error.remedy) from error

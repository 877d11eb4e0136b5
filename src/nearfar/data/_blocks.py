"""What every format turns into: a few thousand rows at a time, each with its place in the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from nearfar.errors import InputError

T = TypeVar("T")

ROWS = 8192
"""Rows a block: enough to make per-block costs vanish, few enough to keep memory flat."""


class Missing:
    """Stands for a field that a JSON object does not have, as opposed to one that is null."""


MISSING = Missing()


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a file.

    Args:
        names: The columns of these rows.
        places: The line, or the number of the row, at which each row begins; from 1.
        column: Gives the values of one column by name: a list, or an Arrow array.
    """

    names: Collection[str]
    places: Sequence[int]
    column: Callable[[str], Any]


def batched(rows: Iterator[tuple[int, T]]) -> Iterator[tuple[list[int], list[T]]]:
    """Gather placed rows into lists of places and of rows.

    The rows before a mistake come out before its error does, so that mistakes are met in the order of the file, and
    none beyond the last row that is wanted.
    """
    places: list[int] = []
    held: list[T] = []
    try:
        for place, row in rows:
            places.append(place)
            held.append(row)
            if len(held) == ROWS:
                yield places, held
                places, held = [], []
    except InputError:
        if held:
            yield places, held
        raise
    if held:
        yield places, held


@dataclass(frozen=True, eq=False)
class Source:
    """A file or hub data set, open for reading.

    Args:
        file: Its name, as messages give it.
        names: The columns that its first rows show.
        blocks: Gives its rows, once, when told which columns are wanted.
        counts: What `Block.places` counts.
        typed: Whether a value knows its type; CSV and TSV hold nothing but text.
    """

    file: str
    names: Sequence[str]
    blocks: Callable[[Sequence[str]], Iterator[Block]]
    counts: str = "lines"
    typed: bool = True

    def fail(self, place: int, problem: str, *, field: str | None = None, remedy: str | None = None) -> NoReturn:
        """Raise the InputError for a mistake at `place`."""
        if self.counts == "lines":
            raise InputError(problem, file=self.file, line=place, field=field, remedy=remedy)
        raise InputError(f"row {place}: {problem}", file=self.file, field=field, remedy=remedy)

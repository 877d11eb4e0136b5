"""What every format is read into: blocks of a few thousand rows, each row with its place in the file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

T = TypeVar("T")

ROWS = 8192
"""Rows per block: enough to make the cost per block negligible, few enough to keep memory constant."""


class Missing:
    """Marks a field that a JSON object does not have, as opposed to one that is null."""


MISSING = Missing()


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows of a file.

    Args:
        names: The columns of these rows.
        places: For each row the line on which it begins, or its number; from 1.
        column: Returns the values of one column by name: a list, or an Arrow array.
        by_value: Reads the same rows again, value by value, for a block that Arrow has parsed: if such a block fails
            a check, only the values can tell why (a missing field and a null are the same to Arrow).
    """

    names: Collection[str]
    places: Sequence[int]
    column: Callable[[str], Any]
    by_value: Callable[[], Iterator[Block]] | None = None


def batched(rows: Iterator[tuple[int, T]]) -> Iterator[tuple[list[int], list[T]]]:
    """Group rows with their places into a list of places and a list of rows.

    The rows before a mistake are yielded before its error is raised, so that mistakes are found in the order of the
    file, and none after the last row that is needed.
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
    """A file or hub dataset, open for reading.

    Args:
        file: Its name in messages.
        names: The columns of its first rows.
        blocks: Returns its rows, given the columns that are needed. Can be called once.
        counts: What `Block.places` counts: lines or rows.
        typed: Whether values have types; in CSV and TSV every value is text.
        lists: The columns whose first value is a list of texts.
        stored: The rows as a dataset whose Arrow files are mapped into memory; None of other sources. Its blocks can be
            read again.
    """

    file: str
    names: Sequence[str]
    blocks: Callable[[Sequence[str]], Iterator[Block]]
    counts: str = "lines"
    typed: bool = True
    lists: Collection[str] = ()
    stored: Dataset | None = None

    def fail(self, place: int, problem: str, *, field: str | None = None, remedy: str | None = None) -> NoReturn:
        """Raise an InputError for a mistake at `place`."""
        if self.counts == "lines":
            raise InputError(problem, file=self.file, line=place, field=field, remedy=remedy)
        raise InputError(f"row {place}: {problem}", file=self.file, field=field, remedy=remedy)

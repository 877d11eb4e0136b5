"""A table of plain values; numbers are formatted by column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nearfar.reports.numbers import DASH, column
from nearfar.reports.text import plain

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Columns and rows of plain values.

    Args:
        columns: The column headers.
        rows: One sequence of cells per row. None is shown as a dash; the numbers of a column have one format.
        caption: A line that says what the table contains.
        highlight: Indices of rows to emphasise, from 0.
        everything: All rows, if ``rows`` is a selection of them.

    Raises:
        ValueError: There is no column, a row has another number of cells, or a highlighted row does not exist.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    highlight: Sequence[int] = field(default=())
    everything: Sequence[Sequence[Cell]] | None = None

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns is empty: expected at least one column")
        for index, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"row {index}: expected {len(self.columns)} cells, got {len(row)}")
        for index in self.highlight:
            if not 0 <= index < len(self.rows):
                raise ValueError(f"invalid highlight {index}: must be less than {len(self.rows)}, the number of rows")

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """The header of each column, and whether the column contains numbers."""
        return [(plain(head), self._numeric(index)) for index, head in enumerate(self.columns)]

    @property
    def body(self) -> list[tuple[list[str], bool]]:
        """The cells of each row as text, and whether the row is highlighted."""
        texts = [self._column(index) for index in range(len(self.columns))]
        return [([text[r] for text in texts], r in self.highlight) for r in range(len(self.rows))]

    def as_dict(self) -> dict[str, object]:
        """All columns and rows for JSON: numbers with all digits, NaN and infinities as text."""
        rows = self.rows if self.everything is None else self.everything
        return {"columns": [plain(head) for head in self.columns], "rows": [[_json(cell) for cell in r] for r in rows]}

    def _numeric(self, index: int) -> bool:
        cells = [row[index] for row in self.rows if row[index] is not None]
        return bool(cells) and all(_is_number(cell) for cell in cells)

    def _column(self, index: int) -> list[str]:
        cells = [row[index] for row in self.rows]
        if self._numeric(index):
            return column([None if cell is None else _python(cell) for cell in cells])
        return [_text(cell) for cell in cells]


def thinned(columns: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "", most: int = 400) -> Table:
    """A table with at most ``most`` of ``rows``, evenly spaced; the caption says if rows are omitted."""
    if len(rows) <= most:
        return Table(columns, rows, caption)
    kept = [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]
    note = f"{most:,} of {len(rows):,} rows, evenly spaced."
    return Table(columns, kept, f"{caption} {note}".strip(), everything=rows)


def _is_number(cell: object) -> bool:
    return not isinstance(cell, (str, bool)) and hasattr(cell, "__float__")


def _python(cell: Cell) -> int | float:
    """A NumPy or torch scalar as a Python number."""
    if isinstance(cell, int):
        return cell
    return int(cell) if hasattr(cell, "__index__") else float(cell)  # pyright: ignore[reportArgumentType]


def _json(cell: Cell) -> str | float | bool | None:
    if cell is None or isinstance(cell, bool):
        return cell
    if not _is_number(cell):
        return plain(cell)
    value = _python(cell)
    return value if math.isfinite(value) else str(value)


def _text(cell: Cell) -> str:
    if cell is None:
        return DASH
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return column([_python(cell)])[0] if _is_number(cell) else plain(cell)

"""Conditions on the columns of a corpus: `lang=en`, `year>=2020`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError
from nearfar.search.beside import checked, made_beside
from nearfar.search.metadata import REBUILD

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from jaxtyping import Bool

__all__ = ["Condition", "allowed", "open_fields", "parse_conditions"]

_FORM = re.compile(r"\s*(?P<column>[^=<>!]+?)\s*(?P<how>!=|<=|>=|=|<|>)\s*(?P<value>.*?)\s*", re.DOTALL)
_COMPARE = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_FIELDS = "fields.arrow"


@dataclass(frozen=True)
class Condition:
    """A comparison of a column with a value. A row without the field does not meet it.

    Args:
        column: Name of the column.
        how: `=`, `!=`, `<`, `<=`, `>` or `>=`; the last four compare numbers.
        value: The value, as text.
    """

    column: str
    how: str
    value: str


def parse_conditions(texts: Sequence[str]) -> list[Condition]:
    """Conditions that must all be met.

    Raises:
        InputError: One has another form than COLUMN=VALUE, or <, <=, >, >=, != in place of =.
    """
    found = []
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None:
            remedy = "write COLUMN=VALUE, or !=, <, <=, >, >= in place of ="
            raise InputError(f"invalid condition {text!r}", field="--where", remedy=remedy)
        found.append(Condition(match["column"], match["how"], match["value"]))
    return found


def open_fields(folder: Path, names: Sequence[str], count: int, read: Callable[[Sequence[str]], pa.Table]) -> pa.Table:
    """Columns of the documents, memory-mapped. They are read from the corpus when they are first asked for.

    Args:
        folder: The folder of the columns.
        names: Names of columns.
        count: Number of documents.
        read: Reads columns of the corpus.

    Raises:
        InputError: There is no such column, or the files are damaged.
    """
    import pyarrow as pa

    def known() -> list[str]:
        try:
            return _mapped(folder).column_names
        except (OSError, pa.ArrowInvalid):
            return []

    def make(unfinished: Path) -> None:
        wanted = [*known(), *(name for name in names if name not in known())]
        table = read(wanted)
        if table.num_rows != count:
            problem = f"expected a row for each of {count:,} documents, got {table.num_rows:,}"
            raise InputError(problem, file=folder, remedy=REBUILD)
        with pa.OSFile(str(unfinished / _FIELDS), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)

    made_beside(folder, make, complete=lambda: set(names) <= set(known()))
    checked(folder)
    return _mapped(folder)


def allowed(conditions: Sequence[Condition], fields: pa.Table) -> Bool[np.ndarray, " n"]:
    """Which documents meet all conditions.

    Raises:
        InputError: A value is no number, where numbers are compared.
    """
    import numpy as np

    found = np.ones(fields.num_rows, dtype=bool)
    for condition in conditions:
        found &= _met(condition, fields.column(condition.column))
    return found


def _met(condition: Condition, column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    as_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if condition.how in ("=", "!=") and as_text:
        value: Any = condition.value
    elif pa.types.is_boolean(column.type):
        value = _of({"true": True, "false": False}, condition, "true or false")
    else:
        value = _number(condition)
        column = _numbers(condition, column)
    met = getattr(pc, _COMPARE[condition.how])(column, pa.scalar(value))
    return pc.fill_null(met, False).to_numpy()


def _of(known: Mapping[str, Any], condition: Condition, expected: str) -> Any:
    if condition.how not in ("=", "!=") or condition.value.casefold() not in known:
        problem = f"expected {expected} after = or !=, got {condition.how}{condition.value}"
        raise InputError(problem, field=f"--where {condition.column}")
    return known[condition.value.casefold()]


def _number(condition: Condition) -> float:
    try:
        return float(condition.value)
    except ValueError as error:
        problem = f"expected a number, got {condition.value!r}"
        raise InputError(problem, field=f"--where {condition.column}") from error


def _numbers(condition: Condition, column: Any) -> Any:
    import pyarrow as pa

    try:
        # Texts of a CSV file; an empty cell is no number.
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            import pyarrow.compute as pc

            empty = pc.equal(column, "")  # pyright: ignore[reportAttributeAccessIssue]
            column = pc.if_else(empty, None, column)  # pyright: ignore[reportAttributeAccessIssue]
        return column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        problem = f"{condition.how} compares numbers, and the column has other values: {error}"
        raise InputError(problem, field=f"--where {condition.column}", remedy="use = or !=") from error


def _mapped(folder: Path) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(folder / _FIELDS))).read_all()

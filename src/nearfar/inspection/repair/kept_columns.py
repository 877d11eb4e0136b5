"""Columns outside the schema, which repaired rows keep as far as the format of the file can represent them."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["json_values", "parquet_schema", "without_columns"]

Row = Mapping[str, Any]


def json_values(row: Row) -> dict[str, Any]:
    """The values that JSON can represent: no dates, bytes or NaN."""
    return {name: value for name, value in row.items() if _is_json(value)}


def parquet_schema(rows: Sequence[Row]) -> tuple[Any, list[str]]:
    """The schema of all rows, and the columns that have none: values of several types.

    A column's type is that of all its values: the first ones may be null.
    """
    import pyarrow as pa

    fields, mixed = [], []
    for name in dict.fromkeys(name for row in rows for name in row):
        try:
            fields.append((name, pa.array([row.get(name) for row in rows]).type))
        except (pa.ArrowException, OverflowError, TypeError):
            mixed.append(name)
    return pa.schema(fields), mixed


def without_columns(rows: Sequence[Row], names: Collection[str], out: Path, remedy: str) -> list[dict[str, Any]]:
    """The rows without some columns, with a warning that names them."""
    if names:
        text = "%s: left out, because the file cannot represent their values: %s; %s"
        logging.getLogger(__name__).warning(text, out, ", ".join(map(repr, names)), remedy)
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(_is_json, value.values()))
    return value is None or isinstance(value, (str, bool, int))

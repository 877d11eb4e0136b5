"""Reads further columns of a table: those that no schema has, and that only the user knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data._blocks import Missing
from nearfar.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_fields"]


def read_fields(file: str | Path, names: Sequence[str], columns: Mapping[str, str] | None = None) -> pa.Table:
    """Columns of texts, numbers or truth values, one row for each row of the file, in its order.

    Args:
        file: A table, as for `nearfar.data.load`.
        names: Names of columns in the file, or canonical names that `columns` maps.
        columns: Canonical column name -> name in the file.

    Returns:
        The columns by `names`. Fields that a row does not have are null; in CSV and TSV every value is text.

    Raises:
        InputError: There is no such column, or a value is a list or an object.
    """
    import pyarrow as pa

    from nearfar.data.sources import open_sources

    wanted = {name: (columns or {}).get(name, name) for name in names}
    parts: dict[str, list[pa.Array]] = {name: [] for name in names}
    sources, _ = open_sources(file, "train")
    for source in sources:
        for name, field in wanted.items():
            if field not in source.names:
                have = ", ".join(source.names)
                raise InputError(f"no such column (the file has {have})", file=source.file, field=name)
        for block in source.blocks(list(wanted.values())):
            for name, field in wanted.items():
                parts[name].append(_array(source.file, name, block.column(field)))
    try:
        return pa.table({name: _joined(arrays) for name, arrays in parts.items()})
    except pa.ArrowInvalid as error:
        raise InputError(f"columns of mixed types: {error}", file=file) from error


def _array(file: str, name: str, values: Any) -> pa.Array:
    import pyarrow as pa

    if not isinstance(values, (pa.Array, pa.ChunkedArray)):
        values = [None if isinstance(value, Missing) else value for value in values]
        try:
            values = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            problem = "values of different types"
            raise InputError(problem, file=file, field=name, remedy="give the column one type") from error
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.dictionary_decode(), kind.value_type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise InputError(f"expected texts or numbers, got {kind}", file=file, field=name)
    return values


def _joined(arrays: Sequence[pa.Array]) -> pa.ChunkedArray:
    """One type for all: integers among floats, and blocks without any value."""
    import pyarrow as pa

    kinds = {array.type for array in arrays if not pa.types.is_null(array.type)}
    if len(kinds) > 1:
        if not all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
            raise pa.ArrowInvalid(", ".join(sorted(map(str, kinds))))
        kinds = {pa.float64()}
    kind = kinds.pop() if kinds else pa.string()
    return pa.chunked_array([array.cast(kind) for array in arrays], kind)

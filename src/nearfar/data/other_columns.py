"""The columns of a source that are outside its schema, which `load` drops."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.data._blocks import Missing
from nearfar.data.schemas import fitting, rename

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data._blocks import Block, Source

__all__ = ["other_columns"]


def other_columns(
    source: str | Path | Dataset, *, columns: Mapping[str, str] | None = None, split: str = "train"
) -> list[dict[str, Any]]:
    """For each row of `nearfar.data.load` its values outside the schema, by column; a missing field has no entry.

    The files are read again, and held in memory. A column whose name `columns` gives to another is left out, with a
    warning.

    Args:
        source: As for `load`.
        columns: Canonical column name -> name in the file.
        split: As for `load`.
    """
    from nearfar.data.sources import open_sources

    found: list[dict[str, Any]] = []
    hidden: dict[str, str] = {}
    for opened in open_sources(source, split)[0]:
        found += _of_source(opened, columns or {}, hidden)
    for name, file in hidden.items():
        text = "%s: the column %r is left out, because --columns gives its name to another"
        logging.getLogger(__name__).warning(text, file, name)
    return found


def _of_source(source: Source, mapping: Mapping[str, str], hidden: dict[str, str]) -> Iterator[dict[str, Any]]:
    names = rename(source.names, mapping, source.file)
    schema = fitting(names, file=source.file, lists=source.lists)
    picked = schema.pick(names)
    used = {names[name] for name in picked}
    new_names = {field: name for name, field in names.items()}
    positive = names["positive"] if "positive" in picked else None
    wanted = [name for name in source.names if name not in used]
    for block in source.blocks(wanted + ([positive] if positive else []) or list(source.names[:1])):
        # Arrow's types would make floats of whole numbers, and nulls of missing fields.
        for part in block.by_value() if block.by_value is not None else [block]:
            others = [name for name in part.names if name not in used]
            taken = [name for name in others if name not in new_names and name in names]
            hidden.update({name: source.file for name in taken if name not in hidden})
            kept = [name for name in others if name not in taken]
            values = {new_names.get(name, name): _values(part, name) for name in kept}
            rows = ({name: of[at] for name, of in values.items()} for at in range(len(part.places)))
            times = [1] * len(part.places) if positive is None else map(_times, _values(part, positive))
            whole = ({name: value for name, value in row.items() if not isinstance(value, Missing)} for row in rows)
            # A row with a list of positives is read as one row for each.
            yield from chain.from_iterable([row] * count for row, count in zip(whole, times, strict=True))


def _values(block: Block, name: str) -> list[Any]:
    values = block.column(name)
    return values if isinstance(values, list) else values.to_pylist()


def _times(positive: Any) -> int:
    return len(positive) if isinstance(positive, list) else 1

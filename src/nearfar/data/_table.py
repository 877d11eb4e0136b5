"""The rows of one or several files with the same columns, checked and converted."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from nearfar.data._arrow import Gathered
from nearfar.data._blocks import Block, Missing, Source
from nearfar.data._checks import Column, check_lengths
from nearfar.data._empty_turns import EmptyTurns
from nearfar.data._hints import overlooked
from nearfar.data.media import MEDIA
from nearfar.data.schemas import LIST_COLUMNS, fitting, rename
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

#: Types of columns that need not be copied.
_AS_THEY_ARE = ("string", "int64", "float64")


class Table:
    """The columns that one call of `load` reads, from however many files. The first file determines them.

    Args:
        source: The first file.
        mapping: Canonical column name -> name in the file.
        schema: The name of the schema; the one that uses most columns when None.
        skip_broken: Remove turns of dialogues that have no text.

    Raises:
        InputError: The columns do not fit the schema.
    """

    def __init__(self, source: Source, mapping: Mapping[str, str], schema: str | None, skip_broken: bool) -> None:
        names = rename(source.names, mapping, source.file)
        self.source, self.first, self.mapping = source, source.file, mapping
        self.schema = fitting(names, schema=schema, file=source.file, lists=source.lists)
        self.columns = [Column(name, names[name], schema=self.schema.name) for name in self.schema.pick(names)]
        self._refuse_lists_of(source)
        self.empty = EmptyTurns.of(self.schema.name, names) if skip_broken else None
        self._warn_of_unused(names, chosen=schema is not None)

    def continue_with(self, source: Source) -> Table:
        """Continue with another file, which must have the same columns."""
        own = [column.name for column in self.columns]
        other = self.schema.pick(rename(source.names, self.mapping, source.file))
        if own != other:
            raise InputError(
                f"expected the columns {', '.join(own)} as in {self.first}, got {', '.join(other) or 'none of them'}",
                file=source.file,
                remedy="give all files of a folder the same columns",
            )
        self._refuse_lists_of(source)
        self.source = source
        return self

    def read(self, gathered: Gathered, limit: int | None) -> None:
        """Check the rows of the current file and add them to `gathered`, until it has `limit` rows."""
        for part in self.parts(None if limit is None else limit - gathered.rows):
            gathered.add(part)

    def as_stored(self) -> Dataset | None:
        """Check the rows of a dataset on the disk, and return its columns as they are there, without a copy.

        None where a value has to be converted, such as a list or a label of another type.
        """
        rows, fields = self.source.stored, [column.field for column in self.columns]
        if rows is None or any(
            column.name in MEDIA or getattr(rows.features[column.field], "dtype", None) not in _AS_THEY_ARE
            for column in self.columns
        ):
            return None
        for block in self.source.blocks(fields):
            batch = self._checked(block, None)
            if not all(batch.column(each.name).equals(block.column(each.field)) for each in self.columns):
                return None
        found = rows.with_format(None).select_columns(fields)
        return found.rename_columns({each.field: each.name for each in self.columns if each.field != each.name})

    def parts(self, left: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the checked rows of the current file, at most `left` of them, a block at a time."""
        for block in self.source.blocks([column.field for column in self.columns]):
            for part in self._parts(block, left):
                yield part
                left = None if left is None else left - part.num_rows
            if left == 0:
                break
        if self.empty is not None:
            self.empty.warn(self.source)

    def _parts(self, block: Block, left: int | None) -> Iterator[pa.RecordBatch]:
        """Yield the checked rows of a block, at most `left` of them."""
        if block.by_value is None:
            blocks = iter([block])
        elif self.empty is None and (batch := self._accepted(block, left)) is not None:
            yield batch
            return
        else:
            blocks = block.by_value()
        for part in blocks:
            self._refuse_late(part)
            part = part if self.empty is None else self.empty.removed(part)
            if len(part.places):
                batch = self._checked(part, left)
                yield batch
                left = None if left is None else left - batch.num_rows
            if left == 0:
                return

    def _accepted(self, block: Block, left: int | None) -> pa.RecordBatch | None:
        """The checked rows of a block that Arrow parsed; None if a value is wrong, which only Python can name."""
        try:
            return self._checked(block, left)
        except InputError:
            return None

    def _checked(self, block: Block, left: int | None) -> pa.RecordBatch:
        places = block.places[:left]
        arrays = {
            column.name: column.check(self.source, block.column(column.field)[:left], places) for column in self.columns
        }
        check_lengths(self.source, arrays, places)
        return pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))

    def _refuse_lists_of(self, source: Source) -> None:
        """Refuse columns of lists in CSV and TSV."""
        for column in self.columns:
            if column.name in LIST_COLUMNS and not source.typed:
                raise InputError(
                    "requires lists, which CSV and TSV cannot represent",
                    file=source.file,
                    field=column.field,
                    remedy="write the rows as .jsonl or .parquet",
                )

    def _refuse_late(self, block: Block) -> None:
        """Refuse a column that begins in the middle of a JSON file: its values could only be dropped."""
        for name in self.schema.pick(name for name in block.names if name not in self.source.names):
            if name not in self.mapping:
                present = (not isinstance(value, Missing) for value in block.column(name))
                place = next(place for place, found in zip(block.places, present, strict=True) if found)
                self.source.fail(
                    place, "earlier rows do not have this field", field=name, remedy="give it to all rows or none"
                )

    def _warn_of_unused(self, names: Mapping[str, str], *, chosen: bool) -> None:
        """Log columns that would be used under another name: `intent` beside `text`, `hard_negative` beside pairs."""
        more = ("label",) if not chosen and self.schema.name == "sentences" else self.schema.optional
        used = [column.name for column in self.columns]
        unused = [name for name in names if name not in used]
        for name, column in overlooked(unused, [name for name in more if name not in used]).items():
            text = "%s: the column %r is not used; use it with --columns %s=%s"
            logging.getLogger(__name__).warning(text, self.first, column, name, column)

"""`load`: rows from files, folders of files and the hub, checked to the last row."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from nearfar.data._blocks import Block, Missing, Source
from nearfar.data._hints import overlooked
from nearfar.data.schemas import fitting, rename
from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from nearfar.data._arrow import Gathered


def load(
    source: str | Path | Dataset,
    *,
    columns: Mapping[str, str] | None = None,
    schema: str | None = None,
    split: str = "train",
    limit: int | None = None,
    skip_broken: bool = False,
) -> Dataset:
    """Read a table whose columns fit one of the schemas, and check every row of it.

    Args:
        source: A file (`.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`, each also with `.gz`), a folder of such files,
            a hub id `user/name` or `user/name:config`, or a data set in memory. A folder of pictures or recordings,
            each in a folder that is its label, is a table too.
        columns: Canonical column name -> name in the file, for files that name their columns otherwise.
        schema: The name of the schema to read; by default the one that uses most of the columns.
        split: Which split of a hub data set, or of a folder whose file names begin with, or hold, a split's name.
            A file is one split.
        limit: Read and check this many rows from the start.
        skip_broken: Leave out rows whose picture or recording is missing or damaged, and turns of dialogues without a
            text, with a note that counts and names them.

    Returns:
        The schema's columns in canonical order, others dropped. Texts are strings exactly as written, scores
        float64, labels and dialogue ids int64 or strings as they stand in the file, `rationales` lists of strings,
        `turns` lists of {speaker, text, acts, slots}, `image` and `audio` paths that are seen from where their file
        lies. It rests in memory, or memory-mapped beyond 256 MiB.

    Raises:
        InputError: The source cannot be read or a row is not what the schema asks for.
    """
    from datasets import Audio, ClassLabel, Dataset, Image

    from nearfar.data._arrow import Gathered

    if limit is not None and limit < 1:
        raise InputError(f"{limit} is not a number of rows", field="limit", remedy="give 1 or more")
    gathered = Gathered()
    sources, features = open_sources(source, split, limit)
    table = _Table(next(sources), columns or {}, schema, skip_broken)
    table.read(gathered, limit)
    for further in sources:
        if limit is not None and gathered.rows >= limit:
            break
        table.again(further).read(gathered, limit)
    if not gathered.rows:
        raise InputError("holds no turn with a text", file=table.first, remedy="give dialogues of at least one turn")
    # A fingerprint that the library works out by itself costs a pickled copy of the table.
    dataset = Dataset(gathered.table(), fingerprint=uuid4().hex)
    for column in table.columns:
        # Pictures and recordings of the hub go on being decoded, class labels go on having names.
        feature = features.get(column.field)
        if isinstance(feature, ClassLabel | Image | Audio):
            dataset = dataset.cast_column(column.name, feature)
    from nearfar.data.media import usable

    return usable(dataset, str(source) if isinstance(source, (str, Path)) else "the data set", skip_broken=skip_broken)


def columns_of(
    source: str | Path | Dataset, *, columns: Mapping[str, str] | None = None, split: str = "train"
) -> list[str]:
    """The canonical names of a source's columns, of its first file where it has several; arguments as of `load`.

    Raises:
        InputError: The source cannot be read, or has no column that `columns` names.
    """
    sources, _ = open_sources(source, split, 1)
    first = next(sources)
    return list(rename(first.names, columns or {}, first.file))


class _Table:
    """The columns that one call of `load` reads, from however many files. The first file decides them."""

    def __init__(self, source: Source, mapping: Mapping[str, str], schema: str | None, skip_broken: bool) -> None:
        from nearfar.data._checks import Column
        from nearfar.data._empty_turns import EmptyTurns

        names = rename(source.names, mapping, source.file)
        self.source, self.first, self.mapping = source, source.file, mapping
        self.schema = fitting(names, schema=schema, file=source.file)
        of_turn = self.schema.name == "turns"
        self.columns = [Column(name, names[name], of_turn=of_turn) for name in self.schema.pick(names)]
        self.empty = EmptyTurns.of(self.schema.name, names) if skip_broken else None
        # Texts with an intent, triplets with a "hard_negative": a table that reads well, but for less than it holds.
        more = ("label",) if schema is None and self.schema.name == "sentences" else self.schema.optional
        picked = [column.name for column in self.columns]
        unused = [name for name in names if name not in picked]
        for name, column in overlooked(unused, [name for name in more if name not in picked]).items():
            text = "%s: the column %r is left out; --columns %s=%s would use it"
            logging.getLogger(__name__).warning(text, source.file, column, name, column)

    def again(self, source: Source) -> _Table:
        """Go on with a further file, which must have the same columns."""
        mine = [column.name for column in self.columns]
        other = self.schema.pick(rename(source.names, self.mapping, source.file))
        if mine != other:
            raise InputError(
                f"has the columns {', '.join(other) or 'none'} where {self.first} has {', '.join(mine)}",
                file=source.file,
                remedy="give all files of a folder the same columns",
            )
        self.source = source
        return self

    def read(self, gathered: Gathered, limit: int | None) -> None:
        """Check the rows of the current file and add them to `gathered`, which then has at most `limit` rows."""
        for block in self.source.blocks([column.field for column in self.columns]):
            for batch in self._batches(block, None if limit is None else limit - gathered.rows):
                gathered.add(batch)
            if limit is not None and gathered.rows >= limit:
                break
        if self.empty is not None:
            self.empty.note(self.source)

    def _batches(self, block: Block, left: int | None) -> Iterator[pa.RecordBatch]:
        """Yield the checked rows of a block, at most `left` of them."""
        blocks = iter([block])
        if block.by_value is not None:
            # Arrow checks the whole block. If a row fails, reading value by value tells which, and why.
            if self.empty is None:
                with suppress(InputError):
                    batch = self._checked(block, left)
                    blocks = iter(())
                    yield batch
            ...
    def _refuse_late(self, block: Block) -> None:
        """Refuse a column that JSON rows begin to have in the middle of a file: it could only be dropped."""
        for name in self.schema.pick(name for name in block.names if name not in self.source.names):
            if name not in self.mapping:
                there = (not isinstance(value, Missing) for value in block.column(name))
                place = next(place for place, is_there in zip(block.places, there, strict=True) if is_there)
                self.source.fail(place, "rows before lack this field", field=name, remedy="give it to all rows or none")

"""Texts that are read once, a block at a time: none is kept in memory or copied to the disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.data._blocks import ROWS, Source
from nearfar.data._table import Table
from nearfar.data.retrieval import is_beir_corpus
from nearfar.data.sources import open_sources

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["TextStream"]


class TextStream:
    """The texts of a source, in its order; every row is checked when it is read.

    Args:
        source: As for `nearfar.data.load`; rows of a Hub ID are read over the network, and not downloaded first. A
            `corpus.jsonl` is in BEIR format, unless it has no `_id`.
        columns: Canonical column name -> name in the file.
        split: Split of a hub dataset, or of a folder with several.

    Raises:
        InputError: The source cannot be opened, or has no column `text`.
    """

    def __init__(
        self, source: str | Path | Dataset, *, columns: Mapping[str, str] | None = None, split: str = "train"
    ) -> None:
        self._source, self._columns, self._split = source, columns or {}, split
        #: The ids of the texts that were read, of a corpus in BEIR format; None: the texts have no ids.
        self.ids: list[str] | None = None
        self._opened: tuple[Table, Iterator[Source]] | None = None
        if isinstance(source, (str, Path)) and is_beir_corpus(source, columns):
            self.ids = []
        else:
            self._opened = self._open()

    def __iter__(self) -> Iterator[list[str]]:
        """Blocks of texts, of some thousand rows each.

        Raises:
            InputError: The source cannot be read, or a row has no text.
        """
        if self.ids is not None:
            yield from self._entries(self.ids)
            return
        (table, further), self._opened = self._opened or self._open(), None
        for part in table.parts():
            yield part.column("text").to_pylist()
        for source in further:
            for part in table.continue_with(source).parts():
                yield part.column("text").to_pylist()

    def windows(self, size: int) -> Iterator[list[str]]:
        """The texts in lists of `size`; the last one may be shorter."""
        waiting: list[str] = []
        for block in self:
            waiting += block
            while len(waiting) >= size:
                yield waiting[:size]
                waiting = waiting[size:]
        if waiting:
            yield waiting

    def _open(self) -> tuple[Table, Iterator[Source]]:
        sources, _ = open_sources(self._source, self._split, streamed=True)
        return Table(next(sources), self._columns, "sentences", False), sources

    def _entries(self, ids: list[str]) -> Iterator[list[str]]:
        from nearfar.data.retrieval import corpus_entries

        ids.clear()
        assert isinstance(self._source, (str, Path))
        entries = corpus_entries(self._source)
        while some := list(islice(entries, ROWS)):
            keys, texts = zip(*some, strict=True)
            ids.extend(keys)
            yield list(texts)

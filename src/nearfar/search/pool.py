"""The documents that negatives are mined from: those of an index, and texts beside it, each different text once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

from nearfar.data.same_text import NumberedTexts
from nearfar.mining.neighbours import nearest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Int

    from nearfar.search.index import SearchIndex

__all__ = ["Pool"]

_BLOCK = 1 << 14


class Pool:
    """Numbers documents from 0, first those of the index; texts that differ only in case and white space are one.

    Args:
        index: An index of documents; None: there are only `texts`.
        texts: Further documents, of which those that the index lacks are added.
        encode: Returns the vectors of texts, comparable with those of the index.
        exact: See `SearchIndex.nearest`.
    """

    def __init__(
        self,
        index: SearchIndex | None,
        texts: Iterable[str],
        encode: Callable[[list[str]], Float[np.ndarray, "n d"]],
        exact: bool | None = None,
    ) -> None:
        self._index, self._exact = index, exact
        self._numbers = NumberedTexts()
        rows: list[int] = []
        number_of_row: list[int] = []
        for row, text in enumerate(() if index is None else _texts_of(index)):
            number_of_row.append(self._numbers.add(text))
            if number_of_row[-1] == len(rows):
                rows.append(row)
        self._rows, self._number_of_row = np.array(rows, dtype=np.int64), np.array(number_of_row, dtype=np.int64)
        self._added: list[str] = []
        for text in texts:
            if self._numbers.add(text) == len(self):
                self._added.append(text)
        self._vectors = encode(self._added) if self._added else None

    def __len__(self) -> int:
        return len(self._rows) + len(self._added)

    def find(self, text: str) -> int | None:
        """The number of a document; None if there is no such document."""
        return self._numbers.find(text)

    def numbers(self, texts: Iterable[str]) -> list[int]:
        """The numbers of texts that are all documents."""
        return [number for text in texts if (number := self.find(text)) is not None]

    def text(self, number: int) -> str:
        """A document by its number."""
        beyond = number - len(self._rows)
        if beyond >= 0 or self._index is None:
            return self._added[beyond]
        return self._index.texts.column("text")[int(self._rows[number])].as_py()

    def vectors(self, numbers: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d"]:
        """The vectors of documents by their numbers."""
        indexed = numbers < len(self._rows)
        parts = []
        if self._index is not None and indexed.any():
            parts.append(self._index.vectors_of(self._rows[numbers[indexed]]))
        if self._vectors is not None and not indexed.all():
            parts.append(self._vectors[numbers[~indexed] - len(self._rows)])
        found = np.concatenate(parts)
        order = np.concatenate([np.flatnonzero(indexed), np.flatnonzero(~indexed)])
        return found[np.argsort(order)]

    def nearest(
        self, queries: Float[np.ndarray, "q d"], k: int
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """The k nearest documents of each query: numbers and similarities, nearest first; -1 and -inf if fewer."""
        found = []
        if self._index is not None:
            found.append(self._nearest_in_index(queries, k))
        if self._vectors is not None:
            vectors = torch.from_numpy(self._vectors)
            numbers, scores = nearest_of(torch.from_numpy(queries), vectors.split(_BLOCK), k)
            found.append((numbers + len(self._rows), scores))
        numbers, scores = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        # Equal scores in the order of the documents.
        order = np.lexsort((numbers, -scores), axis=1)[:, :k]
        return np.take_along_axis(numbers, order, 1), np.take_along_axis(scores, order, 1)

    def _nearest_in_index(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `nearest`; more rows are read until no duplicate takes the place of another document."""
        assert self._index is not None
        read, wanted = k, min(k, len(self._rows))
        while True:
            rows, scores = self._index.nearest(queries, read, exact=self._exact)
            numbers = np.where(rows < 0, -1, self._number_of_row[rows])
            repeated = _repeated(numbers)
            if ((~repeated).sum(1) >= wanted).all() or read >= len(self._number_of_row):
                numbers, scores = np.where(repeated, -1, numbers), np.where(repeated, -np.inf, scores)
                order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
                return np.take_along_axis(numbers, order, 1), np.take_along_axis(scores, order, 1)
            read *= 2


def _repeated(numbers: Int[np.ndarray, "q k"]) -> np.ndarray:
    """Whether each number is also in an earlier column of its row."""
    order = np.argsort(numbers, axis=1, kind="stable")
    ranked = np.take_along_axis(numbers, order, 1)
    same = np.zeros(numbers.shape, dtype=bool)
    same[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    found = np.empty_like(same)
    np.put_along_axis(found, order, same, 1)
    return found


def _texts_of(index: SearchIndex) -> Iterable[str]:
    for chunk in index.texts.column("text").iterchunks():
        yield from chunk.to_pylist()

"""An open index: finds the nearest documents of a query."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nearfar.data.blanks import is_blank
from nearfar.errors import InputError
from nearfar.models.encoding import encode
from nearfar.search.metadata import (
    METADATA,
    REBUILD,
    IndexMetadata,
    check_files,
    corpus_fingerprint,
    named,
    read_metadata,
    stale,
)
from nearfar.search.precision import StoredVectors, check_precision, files_of
from nearfar.writing import settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from jaxtyping import Bool, Float, Int
    from sentence_transformers import SentenceTransformer

    from nearfar.search.lexical import LexicalIndex

TEXTS = "texts.arrow"
# What is made when it is first asked for: words, and columns of the corpus.
WORDS, FIELDS = "words", "fields"
# Documents that are found by vectors, and by words, before both rankings are joined.
HYBRID_DEPTH = 100
# Below this number of documents a full scan takes milliseconds, so approximate search has no advantage.
EXACT_BELOW = 20_000
# Of many queries at once, comparing all is fast for more.
COMPARE_BELOW = 1_000_000
# Documents whose vectors are in memory at a time.
_BLOCK = 1 << 14


class Hit(NamedTuple):
    """A search result: rank from 1, id, text, and score (higher is better)."""

    rank: int
    id: str
    text: str
    score: float


@dataclass
class SearchIndex:
    """An open index. Vectors and texts are memory-mapped.

    Args:
        folder: Its folder.
        metadata: Model and corpus of the index.
        model: The model that encoded the documents; it encodes queries.
        vectors: The vectors of the documents.
        texts: The documents: columns `id` and `text`.
        built: Why the index was built when it was opened; None if it existed.
    """

    folder: Path
    metadata: IndexMetadata
    model: SentenceTransformer
    vectors: StoredVectors
    texts: pa.Table
    built: str | None = None
    # Opened once: each opening reads the files to compare their checksums.
    _fields: pa.Table | None = field(default=None, init=False, repr=False)

    @property
    def is_exact(self) -> bool:
        """Whether a search compares the query with every document."""
        return self.metadata.count < EXACT_BELOW

    def search(self, query: str, k: int = 10, *, where: Sequence[str] = (), hybrid: bool = False) -> list[Hit]:
        """The k best documents, best first; fewer if there are fewer.

        Args:
            query: The query.
            k: Number of documents.
            where: Conditions on columns of the corpus that all hold, such as `lang=en` or `year>=2020`.
            hybrid: Whether the documents nearest by their vectors and those with the words of the query are both
                found; scores are then those of `nearfar.search.fusion`, without it similarities.

        Raises:
            InputError: An empty query, k below 1, or a condition that the corpus does not allow.
        """
        return self.search_all([query], k, where=where, hybrid=hybrid)[0]

    def search_all(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        where: Sequence[str] = (),
        hybrid: bool = False,
        batch_size: int = 64,
    ) -> list[list[Hit]]:
        """As `search`, for many queries at once."""
        from nearfar.search.fusion import fused

        for query in queries:
            check_query(query, k)
        allowed = self.allowed(where) if where else None
        normalize = self.metadata.similarity == "cosine"
        vectors = encode(self.model, list(queries), normalize=normalize, kind="query", batch_size=batch_size)
        depth = max(k, HYBRID_DEPTH) if hybrid else k
        rows, scores = self._nearest(vectors, depth, allowed)
        if hybrid:
            rows, scores = fused([rows, self._words.nearest(queries, depth, allowed)[0]], k)
        return [self._hits(*found) for found in zip(rows.tolist(), scores.tolist(), strict=True)]

    def nearest(
        self, vectors: Float[np.ndarray, "q d"], k: int, *, exact: bool | None = None
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """The k nearest documents of many queries: row numbers from 0, and similarities, nearest first.

        Where the search by the graph finds fewer, the rest is -1, with the similarity -inf.

        Args:
            vectors: The queries, encoded by the model; of unit length if the similarity is the cosine.
            k: Number of documents; all if there are fewer.
            exact: Whether to compare each query with every document; by default below a million documents.
        """
        k = min(k, self.metadata.count)
        if self.metadata.count < COMPARE_BELOW if exact is None else exact:
            return self._compared(vectors, k)
        return self.vectors.near(vectors, k)

    def vectors_of(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d"]:
        """The vectors of documents by their row numbers from 0, as float32."""
        return self.vectors.of(rows)

    def allowed(self, where: Sequence[str]) -> Bool[np.ndarray, " n"]:
        """Which documents meet conditions on the columns of the corpus.

        Raises:
            InputError: A condition cannot be read, the corpus has no such column, or it has changed.
        """
        from nearfar.search.where import allowed, parse_conditions

        conditions = parse_conditions(where)
        return allowed(conditions, self.fields(list(dict.fromkeys(condition.column for condition in conditions))))

    def fields(self, names: Sequence[str]) -> pa.Table:
        """Columns of the corpus, one row for each document.

        Raises:
            InputError: The corpus has no such column, or it has changed.
        """
        from nearfar.search.where import open_fields

        opened = self._fields
        if opened is None or not set(names) <= set(opened.column_names):
            opened = open_fields(self.folder / FIELDS, names, self.metadata.count, self._read_fields)
            self._fields = opened
        return opened.select(list(names))

    @cached_property
    def _words(self) -> LexicalIndex:
        from nearfar.search.lexical import open_lexical

        return open_lexical(self.folder / WORDS, self.texts.column("text"), self.metadata.count)

    def _nearest(
        self, vectors: Float[np.ndarray, "q d"], k: int, allowed: Bool[np.ndarray, " n"] | None
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        import numpy as np

        if allowed is None:
            # Of many queries, comparing all is fast for more documents.
            return self.nearest(vectors, k, exact=self.is_exact if len(vectors) == 1 else None)
        rows = np.flatnonzero(allowed)
        if len(rows) < COMPARE_BELOW:
            return self._compared(vectors, min(k, len(rows)), rows)
        depth = k
        while True:
            depth = min(2 * depth, self.metadata.count)
            found, scores = self.vectors.near(vectors, depth)
            good = (found >= 0) & allowed[found]
            if (good.sum(1) >= k).all() or depth == self.metadata.count:
                found, scores = np.where(good, found, -1), np.where(good, scores, -np.inf)
                order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
                return np.take_along_axis(found, order, 1), np.take_along_axis(scores, order, 1)

    def _compared(
        self, vectors: Float[np.ndarray, "q d"], k: int, rows: Int[np.ndarray, " n"] | None = None
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """The nearest among all documents, or those of some rows, each of which is compared with the query."""
        import numpy as np
        import torch

        from nearfar.mining.neighbours import nearest_of

        every = np.arange(self.metadata.count) if rows is None else rows
        parts = (every[start : start + _BLOCK] for start in range(0, len(every), _BLOCK))
        found, scores = nearest_of(
            torch.from_numpy(vectors), (torch.from_numpy(self.vectors.of(at)) for at in parts), k
        )
        return every[found], scores

    def _hits(self, rows: list[int], scores: list[float]) -> list[Hit]:
        names, texts = self.texts.column("id"), self.texts.column("text")
        found = [(row, score) for row, score in zip(rows, scores, strict=True) if row >= 0]
        return [
            Hit(rank, names[row].as_py(), texts[row].as_py(), score) for rank, (row, score) in enumerate(found, start=1)
        ]

    def _read_fields(self, names: Sequence[str]) -> pa.Table:
        from nearfar.data.fields import read_fields

        corpus = self.metadata.corpus
        if corpus is None:
            remedy = "build the index from a file"
            raise InputError("the index does not name a corpus that has columns", field="--where", remedy=remedy)
        if corpus_fingerprint(corpus) != self.metadata.corpus_fingerprint:
            raise InputError("the corpus has changed", file=corpus, field="--where", remedy="build the index again")
        return read_fields(corpus, names, self.metadata.columns)


def check_query(query: str, k: int) -> None:
    """Raise an InputError for an empty query, or k below 1."""
    if is_blank(query):
        raise InputError("is empty", field="query", remedy="write a few words")
    if k < 1:
        raise InputError(f"invalid number of results {k}: must be 1 or more", field="k")


def open_index(
    folder: str | Path, *, model: SentenceTransformer | str | Path | None = None, corpus: str | Path | None = None
) -> SearchIndex:
    """Open an existing index, without encoding documents.

    Args:
        folder: The folder of the index.
        model: The model that encodes queries; the one named in the index when None.
        corpus: The corpus file, to check that it has not changed; not checked when None.

    Raises:
        InputError: The folder is not a complete index, or the index is stale: the model or the corpus has changed.
    """
    folder = settled(folder)
    metadata = read_metadata(folder)
    model = metadata.model if model is None else model
    if model is None:
        raise InputError("does not name a model", file=folder / METADATA, remedy="pass the model")
    _, loaded = named(model)
    if reason := stale(metadata, loaded, corpus_fingerprint(corpus)):
        raise InputError(f"the index is stale: {reason}", file=folder, remedy="build it again")
    try:
        return mapped(folder, metadata, loaded)
    except InputError:
        if read_metadata(folder) == metadata:
            raise
        return open_index(folder, model=loaded, corpus=corpus)  # replaced while it was read


def mapped(folder: Path, metadata: IndexMetadata, model: SentenceTransformer) -> SearchIndex:
    """Open the index in a folder whose metadata fits the model.

    Raises:
        InputError: One of its files is damaged.
    """
    import pyarrow as pa

    precision = check_precision(metadata.precision)
    check_files(folder, metadata, (*files_of(precision, metadata.graphs), TEXTS))
    try:
        vectors = StoredVectors.open(folder, precision, metadata.scale, metadata.graphs)
        # The table keeps the memory map open.
        texts = pa.ipc.open_file(pa.memory_map(str(folder / TEXTS))).read_all()
    except (OSError, RuntimeError, ValueError, pa.ArrowInvalid) as error:
        raise InputError("the index is damaged", file=folder, remedy=REBUILD) from error
    if len(vectors) != metadata.count or texts.num_rows != metadata.count or vectors.ndim != metadata.dimension:
        raise InputError("the index is damaged: its files have different sizes", file=folder, remedy=REBUILD)
    return SearchIndex(folder, metadata, model, vectors, texts)

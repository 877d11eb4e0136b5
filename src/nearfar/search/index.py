"""An open index: finds the nearest documents of a query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
from nearfar.writing import settled

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa
    from jaxtyping import Float, Int
    from sentence_transformers import SentenceTransformer
    from torch import Tensor
    from usearch.index import Index as Vectors

VECTORS, TEXTS = "vectors.usearch", "texts.arrow"
# Below this number of documents a full scan takes milliseconds, so approximate search has no advantage.
EXACT_BELOW = 20_000
# Of many queries at once, comparing all is fast for more.
COMPARE_BELOW = 1_000_000
# Documents whose vectors are in memory at a time.
_BLOCK = 1 << 14


class Hit(NamedTuple):
    """A search result: rank from 1, id, text, and similarity to the query (higher is more similar)."""

    rank: int
    id: str
    text: str
    score: float


@dataclass
class SearchIndex:
    """An open index. Vectors and texts are memory-mapped.

    Args:
        metadata: Model and corpus of the index.
        model: The model that encoded the documents; it encodes queries.
        vectors: The usearch index; its keys are row numbers.
        texts: The documents: columns `id` and `text`.
        built: Why the index was built when it was opened; None if it existed.
    """

    metadata: IndexMetadata
    model: SentenceTransformer
    vectors: Vectors
    texts: pa.Table
    built: str | None = None

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """The k nearest documents, nearest first; fewer if the corpus is smaller.

        Raises:
            InputError: An empty query, or k below 1.
        """
        check_query(query, k)
        normalize = self.metadata.similarity == "cosine"
        vector = encode(self.model, [query], normalize=normalize, kind="query")[0]
        exact = self.metadata.count < EXACT_BELOW
        found = self._found(vector, min(k, self.metadata.count), exact)
        rows = [int(key) for key in found.keys]
        # usearch measures distance: 1 - cosine, or 1 - dot product.
        scores = [1 - float(distance) for distance in found.distances]
        names, texts = self.texts.column("id"), self.texts.column("text")
        return [
            Hit(rank, names[row].as_py(), texts[row].as_py(), score)
            for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
        ]

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
        import numpy as np
        import torch

        from nearfar.mining.neighbours import nearest_of

        k = min(k, self.metadata.count)
        if self.metadata.count < COMPARE_BELOW if exact is None else exact:
            return nearest_of(torch.from_numpy(vectors), self._blocks(), k)
        found = self._found(vectors, k, False)
        rows = found.keys.astype(np.int64)
        # Computed again, so that scores are those of the exact search.
        scores = np.einsum("qd,qkd->qk", vectors, self.vectors_of(rows.ravel()).reshape(*rows.shape, -1))
        beyond = np.arange(rows.shape[1]) >= found.counts[:, None]
        rows[beyond], scores[beyond] = -1, -np.inf
        return rows, scores

    def vectors_of(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n d"]:
        """The vectors of documents by their row numbers from 0, as float32."""
        import numpy as np

        return np.asarray(self.vectors.get(rows.astype(np.uint64)), dtype=np.float32).reshape(len(rows), -1)

    def _blocks(self) -> Iterator[Tensor]:
        import numpy as np
        import torch

        for start in range(0, self.metadata.count, _BLOCK):
            yield torch.from_numpy(self.vectors_of(np.arange(start, min(start + _BLOCK, self.metadata.count))))

    def _found(self, vectors: Any, k: int, exact: bool) -> Any:
        if not exact:
            # Candidates kept by the graph search; with only k, the last results are often wrong.
            self.vectors.expansion_search = max(128, 2 * k)
        return self.vectors.search(vectors, k, exact=exact)


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
    from usearch.index import Index as Vectors

    check_files(folder, metadata, (VECTORS, TEXTS))
    try:
        vectors = Vectors.restore(folder / VECTORS, view=True)
        # The table keeps the memory map open.
        texts = pa.ipc.open_file(pa.memory_map(str(folder / TEXTS))).read_all()
    except (OSError, RuntimeError, ValueError, pa.ArrowInvalid) as error:
        raise InputError("the index is damaged", file=folder, remedy=REBUILD) from error
    if (
        vectors is None
        or len(vectors) != metadata.count
        or texts.num_rows != metadata.count
        or vectors.ndim != metadata.dimension
    ):
        raise InputError("the index is damaged: its files have different sizes", file=folder, remedy=REBUILD)
    return SearchIndex(metadata, model, vectors, texts)

"""An open index: a query in, the nearest documents out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nearfar.errors import InputError
from nearfar.models.encoding import encode
from nearfar.search.metadata import METADATA, IndexMetadata, corpus_fingerprint, named, read_metadata, stale

if TYPE_CHECKING:
    import pyarrow as pa
    from sentence_transformers import SentenceTransformer
    from usearch.index import Index as Vectors

VECTORS, TEXTS = "vectors.usearch", "texts.arrow"
# Below this many documents a full scan takes a few milliseconds, so there is no reason to accept a missed neighbour.
EXACT_BELOW = 20_000


class Hit(NamedTuple):
    """One document found: its rank from 1, its id, its text, and its similarity to the query (higher is nearer)."""

    rank: int
    id: str
    text: str
    score: float


@dataclass
class SearchIndex:
    """An open index. Vectors and texts stay on disk and are mapped into memory.

    Args:
        metadata: What the index was built from.
        model: The model that encodes queries; the one that encoded the documents.
        vectors: usearch's index, whose keys are row numbers.
        texts: The documents, with columns `id` and `text`.
        built: Why this opening built the index anew; None where it was found ready.
    """

    metadata: IndexMetadata
    model: SentenceTransformer
    vectors: Vectors
    texts: pa.Table
    built: str | None = None

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """The k nearest documents, nearest first; all of them where the corpus has fewer.

        Raises:
            InputError: An empty query, or k below 1.
        """
        check_query(query, k)
        normalize = self.metadata.similarity == "cosine"
        vector = encode(self.model, [query], normalize=normalize, kind="query")[0]
        k = min(k, self.metadata.count)
        exact = self.metadata.count < EXACT_BELOW
        if not exact:
            # The candidates the graph's search keeps; with no more than k, the last of the k are often not the nearest.
            self.vectors.expansion_search = max(128, 2 * k)
        found = self.vectors.search(vector, k, exact=exact)
        rows = [int(key) for key in found.keys]
        # usearch measures distance: 1 - cosine, or 1 - dot product.
        scores = [1 - float(distance) for distance in found.distances]
        names, texts = self.texts.column("id"), self.texts.column("text")
        return [
            Hit(rank, names[row].as_py(), texts[row].as_py(), score)
            for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
        ]


def check_query(query: str, k: int) -> None:
    """Raise an InputError for an empty query, or k below 1."""
    if not query.strip():
        raise InputError("the query is empty", field="query", remedy="write a few words")
    if k < 1:
        raise InputError(f"{k} results cannot be shown", field="k", remedy="give at least 1")


def open_index(
    folder: str | Path, *, model: SentenceTransformer | str | Path | None = None, corpus: str | Path | None = None
) -> SearchIndex:
    """Open an index that `build_index` wrote, without encoding anything.

    Args:
        folder: The index.
        model: The model to encode queries with; the one the index names when None.
        corpus: The corpus file as it is now; not compared when None.

    Raises:
        InputError: The folder is no whole index, or it is stale: the model or the corpus file changed since.
    """
    folder = Path(folder)
    metadata = read_metadata(folder)
    model = metadata.model if model is None else model
    if model is None:
        raise InputError("the index does not name its model", file=folder / METADATA, remedy="pass the model")
    _, loaded = named(model)
    if reason := stale(metadata, loaded, corpus_fingerprint(corpus)):
        raise InputError(f"the index is stale: {reason}", file=folder, remedy="build it again")
    return mapped(folder, metadata, loaded)


def mapped(folder: Path, metadata: IndexMetadata, model: SentenceTransformer) -> SearchIndex:
    """The index in a folder whose metadata and model are known to belong together."""
    import pyarrow as pa
    from usearch.index import Index as Vectors

    try:
        vectors = Vectors.restore(folder / VECTORS, view=True)
        # The table keeps the map open for as long as it lives.
        texts = pa.ipc.open_file(pa.memory_map(str(folder / TEXTS))).read_all()
    except (OSError, RuntimeError, ValueError, pa.ArrowInvalid) as error:
        raise InputError("the index is damaged", file=folder, remedy="build it again") from error
    if (
        vectors is None
        or len(vectors) != metadata.count
        or texts.num_rows != metadata.count
        or vectors.ndim != metadata.dimension
    ):
        raise InputError("the index is damaged: its files do not belong together", file=folder, remedy="build it again")
    return SearchIndex(metadata, model, vectors, texts)

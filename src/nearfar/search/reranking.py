"""The final order of search results, by a model that reads the query and a document together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nearfar.search.index import Hit

if TYPE_CHECKING:
    from nearfar.models.abilities import Scores


def reranked(hits: Sequence[Hit], query: str, model: Scores, *, batch_size: int = 64) -> list[Hit]:
    """The hits in the order of a model's scores, which take the place of the similarities.

    Args:
        hits: Search results.
        query: The query.
        model: Scores pairs (query, document); see `nearfar.kinds.loading.load_scorer`.
        batch_size: Batch size.
    """
    if not hits:
        return []
    scores = model.score_relevance([query] * len(hits), [hit.text for hit in hits], batch_size=batch_size)
    order = sorted(range(len(hits)), key=lambda row: (-scores[row], hits[row].rank))
    return [hits[row]._replace(rank=rank, score=float(scores[row])) for rank, row in enumerate(order, 1)]

"""A search index in a folder: built once from a corpus, fast to open, rebuilt when the model or the corpus changes."""

from nearfar.search.build import build_index, open_or_build
from nearfar.search.hard_negatives import MinedNegatives, mine_hard_negatives
from nearfar.search.index import Hit, SearchIndex, check_query, open_index
from nearfar.search.metadata import IndexMetadata, read_metadata
from nearfar.search.reranking import reranked

__all__ = [
    "Hit",
    "IndexMetadata",
    "MinedNegatives",
    "SearchIndex",
    "build_index",
    "check_query",
    "mine_hard_negatives",
    "open_index",
    "open_or_build",
    "read_metadata",
    "reranked",
]

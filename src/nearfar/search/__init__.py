"""A search index in a folder: built once from a corpus, fast to open, rebuilt when the model or the corpus changes."""

from importlib import import_module
from typing import TYPE_CHECKING

from nearfar.search.build import build_index, open_or_build
from nearfar.search.index import Hit, SearchIndex, check_query, open_index
from nearfar.search.metadata import IndexMetadata, read_metadata
from nearfar.search.reranking import reranked

if TYPE_CHECKING:
    from nearfar.search.hard_negatives import MinedNegatives, mine_hard_negatives

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


def __getattr__(name: str) -> object:
    # Mining imports torch, which commands that do not mine would wait for.
    if name not in ("MinedNegatives", "mine_hard_negatives"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.hard_negatives"), name)

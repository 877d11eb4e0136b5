"""A search index in a folder: built once from a corpus, opened in an instant, rebuilt when model or corpus change."""

from nearfar.search.build import build_index, open_or_build
from nearfar.search.card import Card, read_card
from nearfar.search.index import Hit, SearchIndex, check_query, open_index

__all__ = ["Card", "Hit", "SearchIndex", "build_index", "check_query", "open_index", "open_or_build", "read_card"]

"""Which tower of a model encodes which column of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["column_routes"]


def column_routes(model: SentenceTransformer, columns: Sequence[str]) -> dict[str, str]:
    """Column -> route, for the trainer and collator of sentence-transformers; empty for a model with one tower.

    A column goes to the tower with its name (`image`, `audio`), otherwise to the text tower. If there are towers for
    queries and for documents, the first column is a query and the others are documents. Of a model with views, the
    first view encodes all columns.
    """
    from sentence_transformers.base.modules import Router

    from nearfar.models.views import views_of

    first: Any = next(iter(model), None)
    if not isinstance(first, Router):
        return {}
    if views := views_of(model):
        return dict.fromkeys(columns, views[0])
    routes = first.sub_modules
    by_place = {name: "document" if number else "query" for number, name in enumerate(columns)}
    found = {name: name if name in routes else "text" for name in columns}
    chosen = by_place if {"query", "document"} <= set(routes) else found
    return {name: route for name, route in chosen.items() if route in routes}

"""Overlap of held-out data with training data."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from nearfar.data.media import medium_in
from nearfar.data.retrieval import Retrieval
from nearfar.data.schemas import matching, text_columns

if TYPE_CHECKING:
    from datasets import Dataset

#: Training rows per batch.
ROWS = 10_000


def seen_in_training(rows: Dataset, held_out: Dataset | Retrieval) -> int:
    """The number of held-out items, or queries, all of whose texts occur in the training rows."""
    items = _items(held_out)
    wanted, found = set(chain.from_iterable(items)), set[str]()
    columns = [name for name, feature in rows.features.items() if getattr(feature, "dtype", None) == "string"]
    for start in range(0, len(rows), ROWS):
        batch = rows[start : start + ROWS]
        for name in columns:
            found |= wanted.intersection(batch[name])
    return sum(all(text in found for text in item) for item in items)


def _items(held_out: Dataset | Retrieval) -> list[tuple[str, ...]]:
    if isinstance(held_out, Retrieval):
        return [(query,) for query in held_out.queries.values()]
    medium = medium_in(held_out.column_names)
    if medium is not None:
        # The file is the item; its text may describe many files.
        named = getattr(held_out.features[medium], "dtype", None) == "string"
        return [(path,) for path in held_out[medium][:]] if named else []
    names = [name for name in held_out.column_names if "negative" not in name]
    schemas = matching(names)
    return list(zip(*(held_out[name] for name in text_columns(schemas[0], names)), strict=True)) if schemas else []

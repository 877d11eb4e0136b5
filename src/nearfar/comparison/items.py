"""What a row says, in a form in which two rows can be told to be the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.data.media import medium_in
from nearfar.data.schemas import matching, text_columns

if TYPE_CHECKING:
    from datasets import Dataset

Item = tuple[str, ...]


def normal(text: str) -> str:
    """A text without its case and its spacing: what is left is what a model learns by heart."""
    return " ".join(text.split()).casefold()


def texts_of(rows: Dataset, *, negatives: bool) -> list[Item]:
    """The texts of each row in canonical order, normalised; the file where rows are about pictures or recordings.

    Args:
        rows: Rows of any schema.
        negatives: With those that are said not to belong to the anchor.
    """
    names = item_columns(rows, negatives=negatives)
    if not names:
        return [()] * len(rows)
    if medium_in(names):
        return [(str(path),) for path in rows[names[0]][:]]
    return [tuple(map(normal, texts)) for texts in zip(*(rows[name][:] for name in names), strict=True)]


def item_columns(rows: Dataset, *, negatives: bool) -> list[str]:
    """The columns that `texts_of` reads."""
    columns = rows.column_names
    medium = medium_in(columns)
    if medium is not None:
        # The file is the item; what is said of it may be said of many.
        return [medium] if getattr(rows.features[medium], "dtype", None) == "string" else []
    schemas = matching(columns)
    found = text_columns(schemas[0], columns) if schemas else []
    return [name for name in found if negatives or not name.startswith("negative")]

"""The texts of rows in a normalised form, to find rows with the same content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.data.media import medium_in
from nearfar.data.schemas import matching, text_columns

if TYPE_CHECKING:
    from datasets import Dataset

Item = tuple[str, ...]


def normal(text: str) -> str:
    """A text in lower case with single spaces: a model can memorize a text in spite of such differences."""
    return " ".join(text.split()).casefold()


def texts_of(rows: Dataset, *, negatives: bool) -> list[Item]:
    """The texts of each row in canonical order, normalised; for images and audio, the file.

    Args:
        rows: Rows of any schema.
        negatives: Whether to include negatives.
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
        # The file identifies the item; the same text may describe several files.
        return [medium] if getattr(rows.features[medium], "dtype", None) == "string" else []
    schemas = matching(columns)
    found = text_columns(schemas[0], columns) if schemas else []
    return [name for name in found if negatives or not name.startswith("negative")]

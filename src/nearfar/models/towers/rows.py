"""Rows as the towers of a model read them: both sides, or the inputs of one tower."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nearfar.data.media import decoded, medium_in
from nearfar.data.positives import paired_with_themselves
from nearfar.errors import InputError
from nearfar.models.encoding import as_texts
from nearfar.models.towers.reading import reader_for
from nearfar.models.towers.texts import has_text_towers

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

__all__ = ["both_sides", "numbered_inputs"]


def both_sides(model: SentenceTransformer, rows: Dataset) -> Dataset:
    """Rows of two columns, the inputs of a model's two sides.

    Args:
        model: A model with a tower for each side, or one for both.
        rows: Files with texts, which are decoded when a row is accessed; pairs, which are unchanged; or texts, which
            become pairs of a text with itself.

    Raises:
        InputError: Texts alone for a model with one tower, whose two sides would be equal.
    """
    medium = medium_in(rows.column_names)
    if medium is not None:
        return decoded(rows.select_columns([medium, "text"]), reader_for(model, medium))
    if "text" not in rows.column_names:
        return rows
    if not has_text_towers(model):
        problem = "expected pairs, got single texts, of which one tower makes the same vector twice"
        raise InputError(problem, field="towers", remedy="set towers=two, or use pairs")
    return paired_with_themselves(rows)


def numbered_inputs(model: SentenceTransformer, rows: Dataset, tower: str) -> Dataset:
    """The inputs of one tower with their row numbers: its column `text`, `image` or `audio`, and `label`, 0, 1, ..."""
    from datasets import Dataset

    if tower == "text":
        return Dataset.from_dict({"text": as_texts(rows["text"]), "label": range(len(rows))})
    numbered = rows.select_columns([tower]).add_column("label", list(range(len(rows))))
    return decoded(numbered, reader_for(model, "image" if tower == "image" else "audio"))

"""The items of labelled rows: texts, images or audio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfar.data.media import WORDS, Medium, medium_in, undecoded
from nearfar.errors import InputError
from nearfar.kinds.loading import of
from nearfar.models.abilities import Encodes, EncodesMedia

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float

__all__ = ["file_vectors", "item_names", "item_vectors", "text_vectors"]


def item_vectors(model: Any, rows: Dataset, *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
    """The unit vectors of the rows' files if there is a column `image` or `audio`, otherwise of their texts.

    Args:
        model: A model of `nearfar.kinds`, or of the host library.
        rows: Rows with `image`, `audio` or `text`.
        batch_size: Batch size.

    Raises:
        InputError: A file cannot be decoded, or the model does not encode such files.
    """
    medium = medium_in(rows.column_names)
    if medium is None:
        return text_vectors(model, rows["text"][:], batch_size=batch_size)
    return file_vectors(model, undecoded(rows, medium)[medium][:], medium, batch_size=batch_size)


def text_vectors(model: Any, texts: Sequence[str], *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
    """The unit vectors of texts.

    Raises:
        InputError: The model does not encode texts.
    """
    kind = of(model)
    if not isinstance(kind, Encodes):
        raise InputError(f"expected a model that encodes texts, got {kind.words}", field="model")
    return kind.encode(texts, batch_size=batch_size)


def file_vectors(model: Any, files: Sequence[Any], medium: Medium, *, batch_size: int = 64) -> Float[np.ndarray, "n d"]:
    """The unit vectors of images or audio files: paths, or the values of a column from the Hub.

    Raises:
        InputError: A file cannot be decoded, or the model does not encode such files.
    """
    kind = of(model)
    if not isinstance(kind, EncodesMedia) or kind.medium != medium:
        found = f"texts and {WORDS[kind.medium]}" if isinstance(kind, EncodesMedia) else "texts"
        problem = f"expected a model for {WORDS[medium]}, got one for {found}"
        raise InputError(problem, field=medium, remedy=f"use a model for {WORDS[medium]}")
    return kind.encode_media(files, batch_size=batch_size)


def item_names(rows: Dataset) -> list[str]:
    """The paths of the rows' files if there is a column `image` or `audio` (`row 3` without a path), or the texts."""
    medium = medium_in(rows.column_names)
    if medium is None:
        return rows["text"][:]
    files = undecoded(rows, medium)[medium][:]
    return [file if isinstance(file, str) else f"row {row}" for row, file in enumerate(files, 1)]

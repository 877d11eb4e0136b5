"""The items of labelled rows: texts, images or audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfar.data.media import medium_in, undecoded
from nearfar.models.encoding import encode
from nearfar.models.towers.reading import encode_media

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float

__all__ = ["item_names", "item_vectors"]


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
        return encode(model, rows["text"][:], batch_size=batch_size)
    return encode_media(model, undecoded(rows, medium)[medium][:], medium, batch_size=batch_size)


def item_names(rows: Dataset) -> list[str]:
    """The paths of the rows' files if there is a column `image` or `audio` (`row 3` without a path), or the texts."""
    medium = medium_in(rows.column_names)
    if medium is None:
        return rows["text"][:]
    files = undecoded(rows, medium)[medium][:]
    return [file if isinstance(file, str) else f"row {row}" for row, file in enumerate(files, 1)]

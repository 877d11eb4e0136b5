"""Static models: a vector for each token, about a hundred times as fast; see `nearfar.models.static`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["load", "write"]


def write(model: SentenceTransformer, folder: Path, int8: bool) -> None:
    """Write the static model of an encoder, with the defaults of `nearfar distill`; it has no int8."""
    from nearfar.models.static import static_of, write_static

    write_static(static_of(model), folder)


def load(folder: Path, max_length: int) -> SentenceTransformer:
    """The static model, which reads texts of any length."""
    from nearfar.models.loading import load

    return load(folder, device="cpu")

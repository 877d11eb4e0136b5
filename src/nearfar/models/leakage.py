"""What two views of a model know in common, measured before and after training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar import geometry
from nearfar.data.media import medium_in, undecoded
from nearfar.models.encoding import encode
from nearfar.models.towers.reading import encode_media
from nearfar.models.views import one_view

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["leakage_while_training", "view_vectors"]

#: Maximum number of rows: the estimate depends on their number.
MOST_ROWS = 1_000


def leakage_while_training(rows: Dataset) -> Callable[[SentenceTransformer, Any], dict[str, Any]]:
    """A `measure` function for a plan: `nearfar.geometry.leakage` of the views `common` and `salient`.

    Args:
        rows: Training rows of the target; a sample of them is used, or held-out rows with the same column if there are
            enough.
    """
    column = medium_in(rows.column_names) or "text"

    def measure(model: SentenceTransformer, held_out: Any) -> dict[str, Any]:
        for name, part in (("held-out", held_out), ("training", rows)):
            if column in getattr(part, "column_names", ()) and len(part) >= geometry.LEAST_ITEMS:
                order = np.random.default_rng(0).permutation(len(part))[:MOST_ROWS]
                chosen = part.select(sorted(order.tolist()))
                common, salient = (view_vectors(model, chosen, view) for view in ("common", "salient"))
                return {"leakage": {"rows": name, **asdict(geometry.leakage(common, salient))}}
        return {}

    return measure


def view_vectors(model: SentenceTransformer, rows: Dataset, view: str) -> Float[np.ndarray, "n d"]:
    """The unit vectors of a view for rows with a column `text`, `image` or `audio`."""
    of_view, medium = one_view(model, view), medium_in(rows.column_names)
    if medium is None:
        return encode(of_view, rows["text"][:])
    return encode_media(of_view, undecoded(rows, medium)[medium][:], medium)

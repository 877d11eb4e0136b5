"""The gap between the two sides of pairs, as a model sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar import geometry
from nearfar.models.encoding import encode

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["gap_while_training", "measure_gap", "side_vectors"]

#: Pairs that are looked at.
MOST_PAIRS = 1_000


def measure_gap(
    model: SentenceTransformer, rows: Dataset, *, limit: int = MOST_PAIRS, seed: int = 0
) -> dict[str, float]:
    """What `nearfar.geometry.gap` says of the first two columns of pairs, on at most `limit` of them.

    Args:
        model: The encoder, with one tower or two.
        rows: Their first two columns are texts, or the files of pictures or recordings; at least 5 rows.
        limit: Of more rows than these, so many are drawn: measures depend on the number.
        seed: Decides which.

    Raises:
        InputError: too few rows, or one that cannot be encoded.
    """
    order = np.random.default_rng(seed).permutation(len(rows))[:limit]
    chosen = rows.select(sorted(order.tolist()))
    a, b = (side_vectors(model, chosen, place) for place in (0, 1))
    return asdict(geometry.gap(a, b, seed=seed))


def gap_while_training(rows: Dataset) -> Callable[[SentenceTransformer, Any], dict[str, Any]]:
    """What a recipe's plan may measure before and after training, see `nearfar.recipes._recipe.Plan.measure`.

    It looks at the held-out pairs if they have the columns of the training rows, else at these; at none if there are
    fewer than `nearfar.geometry.LEAST_PAIRS`.
    """

    def measure(model: SentenceTransformer, held_out: Any) -> dict[str, Any]:
        sides = rows.column_names[:2]
        for name, pairs in (("held-out", held_out), ("training", rows)):
            if set(sides) <= set(getattr(pairs, "column_names", ())) and len(pairs) >= geometry.LEAST_PAIRS:
                return {"gap": {"rows": name, **measure_gap(model, pairs.select_columns(sides))}}
        return {}

    return measure


def side_vectors(model: SentenceTransformer, rows: Dataset, place: int) -> Float[np.ndarray, "n d"]:
    """The vectors of a column, through the tower that reads it in training."""
    from nearfar.data.media import MEDIA
    from nearfar.data.stored import as_stored
    from nearfar.models.towers.reading import encode_tower
    from nearfar.models.towers.texts import has_text_towers

    name = rows.column_names[place]
    if name in MEDIA:
        return encode_tower(model, as_stored(rows), name)
    kind = ("query", "document")[place > 0] if has_text_towers(model) else None
    return encode(model, as_stored(rows)[name][:], kind=kind)

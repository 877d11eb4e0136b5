"""The gap between the vectors of the two sides of pairs."""

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

#: Maximum number of pairs for measuring the gap.
MOST_PAIRS = 1_000


def measure_gap(
    model: SentenceTransformer, rows: Dataset, *, limit: int = MOST_PAIRS, seed: int = 0
) -> dict[str, float]:
    """The measures of `nearfar.geometry.gap` for the first two columns of pairs, on at most `limit` of them.

    Args:
        model: The encoder, with one tower or two.
        rows: At least 5 rows, whose first two columns are texts, or image or audio files.
        limit: Maximum number of rows; larger datasets are sampled, because the measures depend on the number of rows.
        seed: Random seed of the sample.

    Raises:
        InputError: There are too few rows, or one cannot be encoded.
    """
    order = np.random.default_rng(seed).permutation(len(rows))[:limit]
    chosen = rows.select(sorted(order.tolist()))
    a, b = (side_vectors(model, chosen, place) for place in (0, 1))
    return asdict(geometry.gap(a, b, seed=seed))


def gap_while_training(rows: Dataset) -> Callable[[SentenceTransformer, Any], dict[str, Any]]:
    """A `measure` function for a recipe's plan, see `nearfar.kinds.plan.Plan`.

    It uses the held-out pairs if they have the columns of the training rows, otherwise the training rows; none if there
    are fewer than `nearfar.geometry.LEAST_PAIRS`.
    """

    def measure(model: SentenceTransformer, held_out: Any) -> dict[str, Any]:
        sides = rows.column_names[:2]
        for name, pairs in (("held-out", held_out), ("training", rows)):
            if set(sides) <= set(getattr(pairs, "column_names", ())) and len(pairs) >= geometry.LEAST_PAIRS:
                return {"gap": {"rows": name, **measure_gap(model, pairs.select_columns(sides))}}
        return {}

    return measure


def side_vectors(model: SentenceTransformer, rows: Dataset, place: int) -> Float[np.ndarray, "n d"]:
    """The vectors of a column, from the tower that encodes it in training."""
    from nearfar.data.media import MEDIA
    from nearfar.data.stored import as_stored
    from nearfar.models.towers.reading import encode_tower
    from nearfar.models.towers.texts import has_text_towers

    name = rows.column_names[place]
    if name in MEDIA:
        return encode_tower(model, as_stored(rows), name)
    kind = ("query", "document")[place > 0] if has_text_towers(model) else None
    return encode(model, as_stored(rows)[name][:], kind=kind)

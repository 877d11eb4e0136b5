"""Similarities of positive and random pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer


@dataclass(frozen=True, eq=False)
class PairSimilarity:
    """Cosines of pairs.

    Args:
        positive: Cosines of anchors with their positives.
        random: Cosines of the same anchors with the positives of other rows.
    """

    positive: Float[np.ndarray, " n"]
    random: Float[np.ndarray, " n"]


def pair_similarity(model: SentenceTransformer, rows: Dataset, *, limit: int = 1000, seed: int = 0) -> PairSimilarity:
    """Cosines of at most `limit` rows with columns `anchor` and `positive`."""
    import numpy as np

    from nearfar.models.encoding import encode

    rng = np.random.default_rng(seed)
    chosen = rows.select(sorted(rng.permutation(len(rows))[:limit].tolist()))
    anchors, positives = encode(model, list(chosen["anchor"])), encode(model, list(chosen["positive"]))
    # A shift by at least one row pairs no anchor with its own positive.
    shift = int(rng.integers(1, max(2, len(chosen))))
    return PairSimilarity((anchors * positives).sum(1), (anchors * np.roll(positives, shift, axis=0)).sum(1))

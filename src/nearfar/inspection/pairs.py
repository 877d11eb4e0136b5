"""Which items match, which are excluded, and which are sampled as negatives: arrays of pairs (first, last).

`mining` draws negatives for training; those here are only for measuring, so a few random ones are enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float, Int

    from nearfar.inspection.sample import Side

#: Negatives that are sampled for each anchor.
NEGATIVES = 5
#: Scores, scaled to [0, 1], from which two texts count as a positive pair: 4 of 5, as in Gao et al. 2021 (SimCSE), who
#: measure alignment on such pairs.
HIGH_SCORE = 0.8
#: Scores up to which two texts count as rated dissimilar.
LOW_SCORE = 0.2
# Rounds after which an anchor without enough negatives keeps fewer.
_ROUNDS = 8


def positive_pairs(
    pairs: Int[np.ndarray, "n 2"], scores: Float[np.ndarray, " n"] | None = None
) -> Int[np.ndarray, "p 2"]:
    """The pairs that match, without duplicates: all, or with scores in [0, 1] those of at least `HIGH_SCORE`."""
    import numpy as np

    return np.unique(pairs if scores is None else pairs[scores >= HIGH_SCORE], axis=0)


def positive_pairs_of_labels(labels: Int[np.ndarray, " n"], rng: np.random.Generator) -> Int[np.ndarray, "p 2"]:
    """Each item that shares its label with others, paired with one of them at random; each is a partner once."""
    import numpy as np

    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    ends = counts.cumsum()
    of_order = labels[order]
    start, size = (ends - counts)[of_order], counts[of_order]
    # The next of the label in random order, and after the last the first.
    following = order[start + (np.arange(len(order)) - start + 1) % size]
    partner = np.empty(len(labels), dtype=np.int64)
    partner[order] = following
    anchors = np.flatnonzero(counts[labels] > 1)
    return np.stack([anchors, partner[anchors]], axis=1)


def excluded_pairs(first: Side, second: Side, scored: Int[np.ndarray, "n 2"] | None = None) -> Int[np.ndarray, "q 2"]:
    """Pairs that must not count as negatives: items with the same text, and pairs with any score."""
    import numpy as np

    found: list[tuple[int, int]] = []
    if first.medium == second.medium:
        known = {item: j for j, item in enumerate(second.items) if isinstance(item, str)}
        found = [(i, known[item]) for i, item in enumerate(first.items) if isinstance(item, str) and item in known]
    same_text = np.asarray(found, dtype=np.int64).reshape(-1, 2)
    return same_text if scored is None else np.concatenate([same_text, scored])


def sampled_negatives(
    anchors: Int[np.ndarray, " a"], known: Int[np.ndarray, "k 2"], width: int, rng: np.random.Generator
) -> Int[np.ndarray, "m 2"]:
    """Up to `NEGATIVES` random items for each anchor.

    Args:
        anchors: Items of the first side; an item may be an anchor several times.
        known: Positive and excluded pairs, none of which is drawn.
        width: Number of items of the last side.
        rng: Source of randomness.

    Returns:
        (index into `anchors`, item of the last side), in the order of `anchors`.
    """
    import numpy as np

    keys = pair_keys(known, width)
    return _drawn(len(anchors), width, lambda drawn: ~np.isin(anchors[:, None] * width + drawn, keys), rng)


def sampled_negatives_of_labels(
    anchors: Int[np.ndarray, " a"], labels: Int[np.ndarray, " n"], rng: np.random.Generator
) -> Int[np.ndarray, "m 2"]:
    """Up to `NEGATIVES` random items of other labels for each anchor, as `sampled_negatives` returns them."""
    return _drawn(len(anchors), len(labels), lambda drawn: labels[drawn] != labels[anchors][:, None], rng)


def pair_keys(pairs: Int[np.ndarray, "p 2"], width: int) -> Int[np.ndarray, " k"]:
    """Pairs (i, j) as numbers i * width + j, sorted and without duplicates."""
    import numpy as np

    return np.unique(pairs[:, 0].astype(np.int64) * width + pairs[:, 1])


def _drawn(
    count: int, width: int, allowed: Callable[[np.ndarray], Bool[np.ndarray, "a s"]], rng: np.random.Generator
) -> Int[np.ndarray, "m 2"]:
    import numpy as np

    drawn = rng.integers(width, size=(count, NEGATIVES))
    good = allowed(drawn)
    for _ in range(_ROUNDS):
        if good.all():
            break
        drawn = np.where(good, drawn, rng.integers(width, size=drawn.shape))
        good = allowed(drawn)
    return np.stack([np.nonzero(good)[0], drawn[good]], axis=1)

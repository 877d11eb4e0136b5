"""Nearest items, exactly, and items ranked above the positive; the full similarity matrix is never in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float, Int

#: Similarities in memory at a time: 32 MB, and a few temporary arrays of that size.
_BLOCK = 2**23
# Differences of cosines that are rounding errors.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What comparing all items of two sides finds, for each item of the first.

    Args:
        nearest: The k nearest items of the second side, matching or not, nearest first.
        positive: The most similar of its positives; meaningless where it has none.
        positive_cosine: The cosine with it; NaN where there is none.
        negative: The most similar item that is neither a positive nor excluded.
        negative_cosine: The cosine with it; -inf where there is none.
        above: Number of negatives that are more similar than `positive`; 0 where there is no positive.
    """

    nearest: Int[Tensor, "n k"]
    positive: Int[Tensor, " n"]
    positive_cosine: Float[Tensor, " n"]
    negative: Int[Tensor, " n"]
    negative_cosine: Float[Tensor, " n"]
    above: Int[Tensor, " n"]


@torch.no_grad()
def find_neighbours(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "m d"],
    *,
    positives: Int[np.ndarray, " p"] | None = None,
    excluded: Int[np.ndarray, " q"] | None = None,
    labels: Int[Tensor, " n"] | None = None,
    k: int = 10,
) -> Neighbours:
    """Compare every a with every b, a block of rows at a time: exact, in time n m d and memory (n + m) d.

    Args:
        a: Unit vectors.
        b: Unit vectors; the same object as `a` compares a set with itself, and no item with itself.
        positives: Pairs that match, as `pair_keys` returns them.
        excluded: Pairs that are not negatives either, in the same form.
        labels: With one set: items that share a label match.
        k: Number of neighbours.

    Source: an item more similar than the positive is likely a false negative: Moreira et al. 2024, NV-Retriever, whose
    "positive-aware" mining skips it; Chuang et al. 2020, Debiased Contrastive Learning, on the cost of training on
    false negatives.
    """
    n, m = len(a), len(b)
    k = min(k, m - (a is b))
    parts: list[tuple[Tensor, ...]] = []
    step = max(1, _BLOCK // m)
    for start in range(0, n, step):
        stop = min(start + step, n)
        similarity = a[start:stop] @ b.T
        if a is b:
            similarity.diagonal(offset=start).fill_(-torch.inf)
        nearest = similarity.topk(k, dim=1).indices
        matching = _mask(positives, start, stop, m, labels)
        positive = similarity.masked_fill(~matching, -torch.inf).max(1)
        similarity.masked_fill_(matching | _mask(excluded, start, stop, m, None), -torch.inf)
        negative = similarity.max(1)
        none = positive.values == -torch.inf
        limit = torch.where(none, torch.inf, positive.values + _ROUNDING)
        parts.append(
            (
                nearest.int(),
                positive.indices.int(),
                positive.values.masked_fill(none, torch.nan),
                negative.indices.int(),
                negative.values,
                (similarity > limit[:, None]).sum(1),
            )
        )
    return Neighbours(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _mask(
    keys: Int[np.ndarray, " p"] | None, start: int, stop: int, m: int, labels: Tensor | None
) -> Bool[Tensor, "rows m"]:
    """True at the pairs of rows `start` to `stop`."""
    import numpy as np

    if labels is not None:
        return labels[start:stop, None] == labels[None]
    mask = torch.zeros(stop - start, m, dtype=torch.bool)
    if keys is not None:
        low, high = np.searchsorted(keys, [start * m, stop * m])
        mask.view(-1)[torch.from_numpy(keys[low:high] - start * m)] = True
    return mask

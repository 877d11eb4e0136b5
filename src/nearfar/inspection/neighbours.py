"""Nearest items, exactly, and unpaired items that are nearer than the paired ones; never all similarities at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float, Int

#: Similarities held at a time: 32 MB, and a few of that size beside them.
_BLOCK = 2**23
# Differences of cosines that rounding makes.
_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What a walk over all similarities of two sides finds.

    Args:
        nearest: For each a the k nearest of b, whatever they are to it, nearest first.
        cosines: Of these.
        own: The highest cosine with one that belongs to it; NaN where none does.
        partner: Which one that is.
        rivals: Of those that do not belong to it the most similar, most similar first.
        rival_cosines: Of these; -inf where there are no more.
        above: How many of those are more similar than `own`; 0 where none belongs to it.
    """

    nearest: Int[Tensor, "n k"]
    cosines: Float[Tensor, "n k"]
    own: Float[Tensor, " n"]
    partner: Int[Tensor, " n"]
    rivals: Int[Tensor, "n r"]
    rival_cosines: Float[Tensor, "n r"]
    above: Int[Tensor, " n"]


@torch.no_grad()
def walk(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "m d"],
    *,
    paired: Int[np.ndarray, " p"] | None = None,
    barred: Int[np.ndarray, " q"] | None = None,
    labels: Int[Tensor, " n"] | None = None,
    k: int = 10,
    rivals: int = 3,
) -> Neighbours:
    """Compare every a with every b, a block of rows at a time: exact, in time n m d and memory (n + m) d.

    Args:
        a: Unit vectors.
        b: Unit vectors; the same object as `a` compares a set with itself, and then no row with itself.
        paired: Couples that belong together, sorted, as i * m + j.
        barred: Couples that count neither as belonging together nor as strangers, likewise.
        labels: With one set: those of one label belong together.
        k: Neighbours to keep.
        rivals: Strangers to keep.

    Source: what is more similar than the positive is likely a false negative: Moreira et al. 2024, NV-Retriever, whose
    "positive-aware" mining leaves it out; Chuang et al. 2020, Debiased Contrastive Learning, on what it costs to train
    on them.
    """
    n, m = len(a), len(b)
    k, rivals = min(k, m - (a is b)), min(rivals, m - (a is b))
    parts: list[tuple[Tensor, ...]] = []
    step = max(1, _BLOCK // m)
    for start in range(0, n, step):
        stop = min(start + step, n)
        similarity = a[start:stop] @ b.T
        if a is b:
            similarity.diagonal(offset=start).fill_(-torch.inf)
        near = similarity.topk(k, dim=1)
        ours = _mask(paired, start, stop, m, labels)
        own = similarity.masked_fill(~ours, -torch.inf).max(1)
        similarity.masked_fill_(ours | _mask(barred, start, stop, m, None), -torch.inf)
        found = similarity.topk(rivals, dim=1)
        none = own.values == -torch.inf
        limit = torch.where(none, torch.inf, own.values + _SAME)
        parts.append(
            (
                near.indices.int(),
                near.values,
                own.values.masked_fill(none, torch.nan),
                own.indices.int(),
                found.indices.int(),
                found.values,
                (similarity > limit[:, None]).sum(1),
            )
        )
    return Neighbours(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _mask(
    couples: Int[np.ndarray, " p"] | None, start: int, stop: int, m: int, labels: Tensor | None
) -> Bool[Tensor, "rows m"]:
    import numpy as np

    if labels is not None:
        return labels[start:stop, None] == labels[None]
    mask = torch.zeros(stop - start, m, dtype=torch.bool)
    if couples is not None:
        low, high = np.searchsorted(couples, [start * m, stop * m])
        mask.view(-1)[torch.from_numpy(couples[low:high] - start * m)] = True
    return mask

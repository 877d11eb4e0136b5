"""The nearest rows of a matrix, exactly and without its n x n products at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

# Similarities held at a time: 64 MB.
_BLOCK = 2**24


@torch.no_grad()
def nearest(vectors: Float[Tensor, "n d"], k: int) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n k"]]:
    """For each row the k others of highest cosine, nearest first, on the CPU.

    Exact, so that the same vectors give the same neighbours; an index built by several threads does not promise that.
    The products run block by block on the vectors' device, in time n^2 d and memory n k.

    Args:
        vectors: One row for each text, of any length but zero.
        k: At most n - 1 are found, and the result is no wider than that.

    Returns:
        Row numbers, and cosines.

    Raises:
        ValueError: fewer than two rows, or k below 1.
    """
    n = len(vectors)
    if n < 2 or k < 1:
        raise ValueError(f"nearest() needs at least two rows and k of at least 1, got {n} rows and k={k}")
    k, step = min(k, n - 1), max(1, _BLOCK // n)
    unit = F.normalize(vectors.float(), dim=1)
    rows, cosines = torch.empty(n, k, dtype=torch.int32), torch.empty(n, k)
    for start in range(0, n, step):
        similarity = unit[start : start + step] @ unit.T
        similarity.diagonal(offset=start).fill_(-torch.inf)
        found = similarity.topk(k, dim=1)
        rows[start : start + step], cosines[start : start + step] = found.indices.int().cpu(), found.values.cpu()
    return rows, cosines

"""The exact nearest rows of a matrix, without an n x n matrix in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

# Similarities in memory at a time: 64 MB.
_BLOCK = 2**24


@torch.no_grad()
def nearest(vectors: Float[Tensor, "n d"], k: int) -> tuple[Int[Tensor, "n k"], Float[Tensor, "n k"]]:
    """For each row, the k other rows with the highest cosines, nearest first; results are on the CPU.

    Exact, so that the same vectors give the same neighbours, unlike an index built by several threads.
    Products are computed block by block on the device of the vectors: O(n^2 d) time, O(n k) memory.

    Args:
        vectors: One row per text; none may be zero.
        k: Number of neighbours; at most n - 1 are returned.

    Returns:
        Row numbers, and cosines.

    Raises:
        ValueError: Fewer than two rows, or k below 1.
    """
    n = len(vectors)
    if n < 2 or k < 1:
        raise ValueError(f"nearest() requires at least two rows and k >= 1, got {n} rows and k={k}")
    k, step = min(k, n - 1), max(1, _BLOCK // n)
    unit = F.normalize(vectors.float(), dim=1)
    rows, cosines = torch.empty(n, k, dtype=torch.int32), torch.empty(n, k)
    for start in range(0, n, step):
        similarity = unit[start : start + step] @ unit.T
        similarity.diagonal(offset=start).fill_(-torch.inf)
        found = similarity.topk(k, dim=1)
        rows[start : start + step], cosines[start : start + step] = found.indices.int().cpu(), found.values.cpu()
    return rows, cosines


@torch.no_grad()
def nearest_of(
    queries: Float[Tensor, "q d"], blocks: Iterable[Float[Tensor, "b d"]], k: int
) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """The k documents with the highest dot products with each query, highest first, exactly.

    Memory is that of the similarities of all queries with one block.

    Args:
        queries: One row per query.
        blocks: The vectors of the documents, a part at a time; documents are numbered from 0.
        k: Number of documents; all if there are fewer.

    Returns:
        Numbers of documents, and dot products.
    """
    best, rows = torch.empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.long)
    start = 0
    for block in blocks:
        values, columns = (queries @ block.T).topk(min(k, len(block)), dim=1)
        best, rows = torch.cat([best, values], 1), torch.cat([rows, columns + start], 1)
        best, kept = best.topk(min(k, best.shape[1]), dim=1)
        rows = rows.gather(1, kept)
        start += len(block)
    return rows.numpy(), best.numpy()

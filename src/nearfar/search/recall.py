"""How many of the nearest documents a search in an index finds.

Some of the first documents are the queries. While an index is built, their nearest documents are found exactly, by
vectors that have not been rounded; afterwards they are searched in the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from nearfar.search.index import SearchIndex

__all__ = ["NEAREST", "QUERIES", "Sample", "nearest_in_sample", "recall_of"]

QUERIES, NEAREST = 200, 10


class Sample(NamedTuple):
    """Documents as queries.

    Args:
        rows: Their row numbers.
        vectors: Their vectors.
        nearest: Row numbers of the documents nearest to each, itself among them.
    """

    rows: Int[np.ndarray, " q"]
    vectors: Float[np.ndarray, "q d"]
    nearest: Int[np.ndarray, "q k"]


def nearest_in_sample(blocks: Iterable[Float[np.ndarray, "n d"]]) -> Sample:
    """The sample, of the first block, with its nearest documents.

    Args:
        blocks: The vectors of all documents, in parts; at least one.
    """
    import torch

    from nearfar.mining.neighbours import nearest_of

    rest: Iterator[np.ndarray] = iter(blocks)
    first = next(rest)
    rows = np.unique(np.linspace(0, len(first) - 1, min(QUERIES, len(first))).round().astype(np.int64))
    queries = first[rows].copy()
    found, _ = nearest_of(torch.from_numpy(queries), map(torch.from_numpy, chain([first], rest)), NEAREST + 1)
    return Sample(rows, queries, found)


def recall_of(index: SearchIndex, sample: Sample) -> float | None:
    """The part of the nearest documents, without the query itself, that a search in the index finds.

    None where each search compares the query with every document as it was encoded.
    """
    if index.is_exact and index.metadata.precision == "float32":
        return None
    found, _ = index.nearest(sample.vectors, NEAREST + 1, exact=index.is_exact)
    shares = []
    for row, exact, approximate in zip(sample.rows, sample.nearest, found, strict=True):
        wanted = {number for number in exact.tolist() if number != row}
        if wanted:
            shares.append(len(wanted & set(approximate.tolist())) / len(wanted))
    return float(np.mean(shares)) if shares else None

"""Duplicates: rows with equal texts, and items with nearly equal vectors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfar.data.retrieval import Retrieval
from nearfar.data.same_text import plain_text

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float

_ROWS_PER_BATCH = 10_000
_BLOCK = 2**23


@dataclass(frozen=True)
class Repeated:
    """Rows with the same texts as an earlier row; case and white space are ignored.

    Args:
        count: Number of rows that repeat an earlier row.
        contradictions: How many of them have another label or score than that row.
        examples: (row, the first row with these texts, whether they contradict); rows from 0, or ids.
    """

    count: int
    contradictions: int
    examples: list[tuple[Any, Any, bool]]


def repeated_rows(data: Dataset | Retrieval, most: int = 100) -> Repeated:
    """Find rows that repeat an earlier row; of a retrieval set, documents that repeat an earlier document.

    In memory there is a hash for each row, and no text.

    Args:
        data: Rows or a retrieval set.
        most: Maximum number of examples; contradictions come first.
    """
    first: dict[bytes, tuple[Any, Any]] = {}
    agreeing: list[tuple[Any, Any, bool]] = []
    contradicting: list[tuple[Any, Any, bool]] = []
    count = contradictions = 0
    for row, texts, verdict in _rows(data):
        key = hashlib.blake2b("\0".join(plain_text(text) for text in texts).encode(), digest_size=16).digest()
        if key not in first:
            first[key] = (row, verdict)
            continue
        count += 1
        earlier, before = first[key]
        differs = before != verdict
        contradictions += differs
        kept = contradicting if differs else agreeing
        if len(kept) < most:
            kept.append((row, earlier, differs))
    return Repeated(count, contradictions, [*contradicting, *agreeing][:most])


@torch.no_grad()
def near_duplicates(
    x: Float[Tensor, "n d"], threshold: float, most: int = 100
) -> tuple[int, list[tuple[int, int, float]]]:
    """Pairs i < j with a cosine of at least `threshold`, exactly, a block of rows at a time.

    Args:
        x: Unit vectors.
        threshold: Minimum cosine.
        most: Maximum number of pairs to return.

    Returns:
        The number of such pairs, and the most similar of them as (i, j, cosine), most similar first.
    """
    n, count = len(x), 0
    best = torch.empty(0)
    where = torch.empty(0, 2, dtype=torch.long)
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        similarity = x[start : start + step] @ x.T
        # Only columns right of the diagonal: each pair once.
        close = (similarity >= threshold).triu_(diagonal=start + 1)
        count += int(close.sum())
        values, places = torch.where(close, similarity, -torch.inf).view(-1).topk(min(most, similarity.numel()))
        some = torch.stack([places // n + start, places % n], dim=1)[values > -torch.inf]
        best, where = torch.cat([best, values[values > -torch.inf]]), torch.cat([where, some])
        order = best.argsort(descending=True, stable=True)[:most]
        best, where = best[order], where[order]
    return count, [(int(i), int(j), float(c)) for (i, j), c in zip(where.tolist(), best.tolist(), strict=True)]


def _rows(data: Dataset | Retrieval) -> Any:
    """Yield (row or id, texts, label or score) of each row."""
    if isinstance(data, Retrieval):
        for id_, text in data.corpus.items():
            yield id_, (text,), None
        return
    from nearfar.data.media import medium_in
    from nearfar.data.schemas import fitting, text_columns
    from nearfar.data.stored import as_stored

    schema = fitting(data.column_names)
    medium = medium_in(data.column_names)
    names = text_columns(schema, data.column_names)
    rows = as_stored(data)
    if medium is not None:
        # Files of the hub have no name to compare.
        names = [medium, *names] if getattr(data.features[medium], "dtype", None) == "string" else []
    judged = next((name for name in ("label", "score") if name in data.column_names), None)
    if not names:
        return
    for start in range(0, len(rows), _ROWS_PER_BATCH):
        batch: Any = rows[start : start + _ROWS_PER_BATCH]
        verdicts = batch[judged] if judged else [None] * len(batch[names[0]])
        texts_of_rows = zip(*(batch[name] for name in names), strict=True)
        for offset, (texts, value) in enumerate(zip(texts_of_rows, verdicts, strict=True)):
            yield start + offset, texts, value

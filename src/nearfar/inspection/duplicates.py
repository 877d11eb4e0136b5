"""Rows that say the same: by their text, and by their vectors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nearfar.data.retrieval import Retrieval

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float

_ROWS = 10_000
_BLOCK = 2**23


@dataclass(frozen=True)
class Repeated:
    """Rows whose texts are those of an earlier row, but for case and spaces.

    Args:
        count: How many rows repeat an earlier one.
        contradictions: How many of them bear another label or score than that one.
        examples: (row, the first row with these texts, whether they contradict), rows counted from 0.
    """

    count: int
    contradictions: int
    examples: list[tuple[Any, Any, bool]]


def repeated_rows(data: Dataset | Retrieval, most: int = 100) -> Repeated:
    """Look for rows that repeat an earlier one, in all rows. Documents of a retrieval set are looked at by their id.

    It holds a hash of each row, a few hundred bytes in all, and no text.

    Args:
        data: Rows or a retrieval set.
        most: Examples to name; contradictions first.
    """
    first: dict[bytes, tuple[Any, Any]] = {}
    found: list[tuple[Any, Any, bool]] = []
    against: list[tuple[Any, Any, bool]] = []
    count = contradictions = 0
    for row, texts, said in _walk(data):
        key = hashlib.blake2b("\0".join(_plain(text) for text in texts).encode(), digest_size=16).digest()
        if key not in first:
            first[key] = (row, said)
            continue
        count += 1
        earlier, before = first[key]
        differs = before != said
        contradictions += differs
        kept = against if differs else found
        if len(kept) < most:
            kept.append((row, earlier, differs))
    return Repeated(count, contradictions, [*against, *found][:most])


@torch.no_grad()
def near_duplicates(
    x: Float[Tensor, "n d"], threshold: float, most: int = 100
) -> tuple[int, list[tuple[int, int, float]]]:
    """Couples i < j of a cosine of at least `threshold`, exactly, a block of rows at a time.

    Args:
        x: Unit vectors.
        threshold: The least cosine.
        most: Couples to return.

    Returns:
        How many there are, and the most similar of them as (i, j, cosine), most similar first.
    """
    n, count = len(x), 0
    best = torch.empty(0)
    where = torch.empty(0, 2, dtype=torch.long)
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        similarity = x[start : start + step] @ x.T
        # Only columns right of the diagonal: each couple once.
        close = (similarity >= threshold).triu_(diagonal=start + 1)
        count += int(close.sum())
        values, places = torch.where(close, similarity, -torch.inf).view(-1).topk(min(most, similarity.numel()))
        some = torch.stack([places // n + start, places % n], dim=1)[values > -torch.inf]
        best, where = torch.cat([best, values[values > -torch.inf]]), torch.cat([where, some])
        order = best.argsort(descending=True, stable=True)[:most]
        best, where = best[order], where[order]
    return count, [(int(i), int(j), float(c)) for (i, j), c in zip(where.tolist(), best.tolist(), strict=True)]


def _walk(data: Dataset | Retrieval) -> Any:
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
        # The hub's own files cannot be compared by name.
        names = [medium, *names] if getattr(data.features[medium], "dtype", None) == "string" else []
    verdict = next((name for name in ("label", "score") if name in data.column_names), None)
    if not names:
        return
    for start in range(0, len(rows), _ROWS):
        batch: Any = rows[start : start + _ROWS]
        said = batch[verdict] if verdict else [None] * len(batch[names[0]])
        for offset, (texts, value) in enumerate(zip(zip(*(batch[n] for n in names), strict=True), said, strict=True)):
            yield start + offset, texts, value


def _plain(text: str) -> str:
    return " ".join(text.lower().split())

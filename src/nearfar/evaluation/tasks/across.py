"""Retrieval across two media: does a text find its image or audio file, and the file its text?"""

from __future__ import annotations

from typing import Any

import numpy as np
from datasets import Dataset
from jaxtyping import Float, Int

from nearfar.data.media import WORDS, medium_in, undecoded
from nearfar.errors import InputError
from nearfar.evaluation.chance import Chance
from nearfar.evaluation.intervals import bootstrap_mean
from nearfar.evaluation.result import Result
from nearfar.evaluation.tasks.task import Asked
from nearfar.evaluation.ties import TOLERANCE
from nearfar.models.encoding import encode
from nearfar.models.towers.reading import encode_media

__all__ = ["measure_across"]

RECALL_AT = (1, 5, 10)
#: Maximum number of similarities in memory.
_AT_ONCE = 2**24


def measure(model: Any, data: Dataset, asked: Asked) -> Result:
    """See `measure_across`."""
    return measure_across(model, data, batch_size=asked.batch_size, seed=asked.seed)


def measure_across(model: Any, rows: Dataset, *, batch_size: int = 64, seed: int = 0) -> Result:
    """recall@1 (primary), @5 and @10: how many texts have one of their files among the first k, and vice versa.

    Equal texts count as one text, and equal paths as one file. For ties with the best correct item, recall is averaged
    over all orders. Metrics from files to texts end in `_to_text`. recall@k is omitted if there are only k items or
    fewer. `per_item` has one value per text.

    Args:
        model: A model of `nearfar.kinds` or of the host library that encodes texts and the files.
        rows: `text`, and `image` or `audio`.
        batch_size: Batch size.
        seed: Random seed of the interval's resampling.

    Raises:
        InputError: There are fewer than two different texts or files, or the model has no such tower.
    """
    medium = medium_in(rows.column_names)
    assert medium is not None
    files, texts = undecoded(rows, medium)[medium][:], rows["text"][:]
    # A file without a path, from the Hub, is identified by its row.
    of_file = _numbered([file if isinstance(file, str) else row for row, file in enumerate(files)])
    of_text = _numbered(texts)
    for numbers, what in ((of_file, WORDS[medium]), (of_text, "texts")):
        if numbers.max() < 1:
            raise InputError(f"expected at least 2 different {what} to rank, got 1")
    distinct_files = [files[row] for row in np.unique(of_file, return_index=True)[1]]
    distinct_texts = [texts[row] for row in np.unique(of_text, return_index=True)[1]]
    a = encode(model, distinct_texts, batch_size=batch_size)
    b = encode_media(model, distinct_files, medium, batch_size=batch_size)
    metrics: dict[str, float] = {}
    per_item: dict[str, np.ndarray] = {}
    tied = 0
    for suffix, (above, level), among in (
        ("", _ranks(a, b, of_text, of_file), b),
        ("_to_text", _ranks(b, a, of_file, of_text), a),
    ):
        tied += int((level > 1).sum())
        for k in RECALL_AT:
            if k < len(among):
                found = np.clip(k - above, 0, level) / level
                metrics[f"recall@{k}{suffix}"] = float(found.mean())
                if not suffix:
                    per_item[f"recall@{k}"] = found
    first = per_item["recall@1"]
    interval = bootstrap_mean(first, seed=seed)
    notes = (f"{len(a)} different texts, {len(b)} different {WORDS[medium]}",)
    if tied:
        what = f"for {tied} of {len(a) + len(b)} texts and {WORDS[medium]} the best correct item ties with others"
        notes += (f"{what}: recall is averaged over all orders of ties",)
    # Of random orders, a share is correct at the first rank: the share of the files that belong to the text.
    correct = np.bincount(np.unique(np.stack([of_text, of_file]), axis=1)[0]) / len(b)
    return Result(
        "retrieval",
        "recall@1",
        metrics,
        n=len(first),
        per_item=per_item,
        notes=notes,
        interval=interval,
        chance=Chance(*[float(correct.mean())] * 2),
    )


def _numbered(values: list[str | int]) -> Int[np.ndarray, " n"]:
    """A number for each distinct value, in order of appearance."""
    known: dict[str | int, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values])


def _ranks(
    a: Float[np.ndarray, "n d"],
    b: Float[np.ndarray, "m d"],
    of_a: Int[np.ndarray, " rows"],
    of_b: Int[np.ndarray, " rows"],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """For each a: the number of b closer than its best matching b, and the number as close, including that b."""
    own: list[list[int]] = [[] for _ in a]
    for i, j in set(zip(of_a.tolist(), of_b.tolist(), strict=True)):
        own[i].append(j)
    above, tied = np.zeros((2, len(a)), dtype=int)
    step = max(1, _AT_ONCE // len(b))
    for start in range(0, len(a), step):
        scores = a[start : start + step] @ b.T
        for row, similar in enumerate(scores, start):
            best, margin = similar[own[row]].max(), TOLERANCE * np.abs(similar).max()
            similar[own[row]] = -np.inf
            above[row] = (similar > best + margin).sum()
            tied[row] = 1 + (similar >= best - margin).sum() - above[row]
    return above, tied

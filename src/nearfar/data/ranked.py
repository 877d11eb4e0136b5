"""Ranked lists as rows of a fixed number of candidates."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nearfar.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["lists_of_pairs", "with_candidate_columns"]

logger = logging.getLogger(__name__)


def with_candidate_columns(rows: Dataset, most: int) -> Dataset:
    """Ranked lists with a column for each candidate, the one with the highest score first.

    A list with more than `most` candidates becomes several rows, each with the best candidate and some of the others,
    which are spread over the rows in order of their scores. A shorter list is filled up with its best candidate, whose
    score there is -inf: it does not count. Lists of one candidate are left out, with a note.

    Args:
        rows: Columns `query`, `candidates` (texts) and `scores` (as many numbers).
        most: Number of candidates in a row, 2 or more.

    Returns:
        Columns `query`, `candidate_1`, `candidate_2`, ..., and `label` (a list of scores).

    Raises:
        InputError: A row has more or fewer scores than candidates, or no list has two candidates.
    """
    from datasets import Dataset

    found: list[tuple[str, list[str], list[float]]] = []
    single = 0
    for row, (query, texts, scores) in enumerate(
        zip(rows["query"], rows["candidates"], rows["scores"], strict=True), start=1
    ):
        if len(texts) != len(scores):
            raise InputError(f"row {row}: expected {len(texts)} scores, got {len(scores)}", field="scores")
        if len(texts) < 2:
            single += 1
            continue
        best, *others = sorted(zip(texts, scores, strict=True), key=lambda pair: -pair[1])
        parts = -(-len(others) // (most - 1))
        for part in range(parts):
            chosen = [best, *others[part::parts]]
            found.append((query, [text for text, _ in chosen], [float(score) for _, score in chosen]))
    if not found:
        remedy = "add candidates: what is learned is which of them is better"
        raise InputError("no query has two candidates", field="candidates", remedy=remedy)
    if single:
        logger.warning("%s queries with fewer than two candidates are left out", f"{single:,}")
    width = max(len(texts) for _, texts, _ in found)
    columns: dict[str, list[str]] = {"query": [query for query, _, _ in found]}
    for place in range(width):
        columns[f"candidate_{place + 1}"] = [texts[place] if place < len(texts) else texts[0] for _, texts, _ in found]
    labels = [[*scores, *[float("-inf")] * (width - len(scores))] for _, _, scores in found]
    return Dataset.from_dict({**columns, "label": labels})


def lists_of_pairs(rows: Dataset, score: Callable[[Sequence[str], Sequence[str]], Sequence[float]]) -> Dataset:
    """Pairs with negatives as ranked lists: a row's positive and negatives are the candidates of its anchor.

    Args:
        rows: Columns `anchor`, `positive`, and negatives.
        score: Scores pairs of texts (query, candidate), such as `score_pairs` of a reranker.

    Raises:
        InputError: The rows have no negatives.
    """
    from datasets import Dataset

    names = [name for name in rows.column_names if name.startswith("negative")]
    if not names:
        problem = "expected pairs with negatives: there is nothing to rank in a single positive"
        raise InputError(problem, field="negative", remedy="add negatives, or use an encoder as teacher")
    candidates = list(map(list, zip(*(rows[name] for name in ("positive", *names)), strict=True)))
    anchors = [anchor for anchor in rows["anchor"] for _ in range(1 + len(names))]
    scores = [float(x) for x in score(anchors, [text for texts in candidates for text in texts])]
    step = 1 + len(names)
    lists = [scores[start : start + step] for start in range(0, len(scores), step)]
    return Dataset.from_dict({"query": list(rows["anchor"]), "candidates": candidates, "scores": lists})

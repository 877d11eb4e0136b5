"""Hard negatives of written questions: near passages of other documents, found in the search that checks the questions.

Source: Moreira et al. 2024, NV-Retriever (arXiv 2407.15831), on the margin relative to the positive.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from nearfar.mining.hard_negatives import HardNegatives, select

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

__all__ = ["MARGIN", "Nearest", "numbers_of_documents"]

#: A negative's cosine is below that of the passage by at least this fraction.
MARGIN = 0.05


class Nearest:
    """The passages that are nearest to each question, without those of its document, window by window.

    Args:
        count: Number of negatives of a question.
        own: For each question, the row of its passage in the corpus.
        numbers: A number for each passage, the same for equal texts; from 0, in order of appearance.
        documents: A number for the document of each passage. A text of several documents is a passage of each of them.
    """

    def __init__(
        self, count: int, own: Sequence[int], numbers: Int[Tensor, " n"], documents: Int[Tensor, " n"]
    ) -> None:
        self._how = HardNegatives(count, relative_margin=MARGIN)
        self._depth = self._how.depth(1)
        self._passages = int(numbers.max()) + 1
        self._keys = (documents * self._passages + numbers).unique()  # sorted: the passages of each document in a row
        self._documents = documents[torch.tensor(own)]
        self._scores = torch.full((len(own), self._depth), -torch.inf)
        self._numbers = torch.full((len(own), self._depth), -1)
        self._positives = torch.zeros(len(own))

    def add(self, part: slice, similarities: Float[Tensor, "q p"], positives: Float[Tensor, "q 1"], first: int) -> None:
        """Compare some questions with further passages.

        Args:
            part: Places of the questions.
            similarities: Of each to each of the passages, which have the numbers `first`, `first + 1`, ...
            positives: Its similarity to its own passage.
            first: The number of the first of these passages.
        """
        self._positives[part] = positives[:, 0].cpu()
        own = self._of_own_documents(self._documents[part], first, similarities.shape[1])
        scores = similarities.cpu().masked_fill(own, -torch.inf)
        best, columns = scores.topk(min(self._depth, scores.shape[1]), dim=1)
        best, found = torch.cat([self._scores[part], best], 1), torch.cat([self._numbers[part], columns + first], 1)
        self._scores[part], places = best.topk(self._depth, dim=1)
        self._numbers[part] = found.gather(1, places)

    def negatives(self) -> list[list[int]]:
        """The numbers of each question's negatives, nearest first; fewer than `count` where there are too few."""
        chosen = select(self._scores, self._positives, self._how, self._depth, random.Random(0)).negatives
        numbers = self._numbers.gather(1, chosen.clamp(min=0))
        return [row[there].tolist() for row, there in zip(numbers, chosen >= 0, strict=True)]

    def _of_own_documents(self, documents: Int[Tensor, " q"], first: int, count: int) -> Bool[Tensor, "q p"]:
        """Whether a passage is of a question's document."""
        each, place = documents.unique(return_inverse=True)
        start = each * self._passages + first
        begin, end = torch.searchsorted(self._keys, start), torch.searchsorted(self._keys, start + count)
        lengths = end - begin
        rows = torch.arange(len(each)).repeat_interleave(lengths)
        within = torch.arange(len(rows)) - (lengths.cumsum(0) - lengths)[rows]
        found = torch.zeros(len(each), count, dtype=torch.bool)
        found[rows, self._keys[begin[rows] + within] - start[rows]] = True
        return found[place]


def numbers_of_documents(passages: Dataset) -> Int[Tensor, " n"]:
    """A number for the document of each passage (column `document`)."""
    known: dict[str, int] = {}
    found: list[int] = []
    for batch in passages.select_columns(["document"]).iter(10_000):
        names: Sequence[str] = batch["document"]  # pyright: ignore[reportArgumentType, reportCallIssue]
        found += (known.setdefault(str(name), len(known)) for name in names)
    return torch.tensor(found)

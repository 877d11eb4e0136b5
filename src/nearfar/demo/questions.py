"""Example questions of the demo: held-out items with known answers, sampled before training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from nearfar.data import Retrieval
    from nearfar.search import Hit
    from nearfar.search.index import SearchIndex

COUNT = 5
"""Number of example questions."""
SHOWN = 3
"""Number of hits that are shown for each question."""
DEPTH = 10
"""Maximum rank of an expected entry that counts as found: the depth of nDCG@10, which the demo reports."""


@dataclass(frozen=True)
class Question:
    """A held-out item.

    Args:
        text: The question.
        expected: Names of the entries that answer it.
    """

    text: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the index returns for a question.

    Args:
        question: The question.
        hits: The first hits.
        best: The first hit that is an expected entry; its rank may be far below the first hits.
        entries: Number of entries that were ranked.
    """

    question: Question
    hits: list[Hit]
    best: Hit
    entries: int

    @property
    def found(self) -> bool:
        """Whether an expected entry is among the first `DEPTH` hits."""
        return self.best.rank <= DEPTH

    @property
    def shown(self) -> list[Hit]:
        """The first hits, followed by the best expected entry if it is not one of them."""
        return self.hits if self.best in self.hits else [*self.hits, self.best]

    @property
    def verdict(self) -> str:
        """Whether an expected entry was found, and at which rank."""
        rank = f"rank {self.best.rank:,} of {self.entries:,}"
        return f"found at {rank}" if self.found else f"not found in the first {DEPTH} ({rank})"

    def as_dict(self) -> dict[str, Any]:
        """The expected entries and their best rank, as JSON types."""
        return {"entries": list(self.question.expected), "rank": self.best.rank, "found": self.found}


def sample_questions(held_out: Retrieval, seed: int, count: int = COUNT) -> list[Question]:
    """A random sample of the held-out questions: it depends only on the seed, not on any model.

    They are drawn uniformly from the questions that the demo measures, so that they are neither easier nor harder.

    Raises:
        InputError: there are fewer than ``count`` questions.
    """
    if len(held_out.queries) < count:
        raise InputError(f"expected at least {count} held-out questions, got {len(held_out.queries)}")
    chosen = random.Random(seed).sample(sorted(held_out.queries), count)
    return [Question(held_out.queries[name], tuple(sorted(held_out.relevant[name]))) for name in chosen]


def ask(index: SearchIndex, questions: Sequence[Question]) -> list[Answer]:
    """Rank all entries of the index for each question.

    Raises:
        InputError: none of the expected entries is in the index.
    """
    answers = []
    for question in questions:
        hits = index.search(question.text, index.metadata.count)
        best = next((hit for hit in hits if hit.id in question.expected), None)
        if best is None:
            raise InputError(f"the index contains none of {', '.join(question.expected)}")
        answers.append(Answer(question, hits[:SHOWN], best, len(hits)))
    return answers

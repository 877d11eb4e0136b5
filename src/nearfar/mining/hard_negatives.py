"""Which of the documents nearest to a query become its hard negatives: ranks, limits and margins."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.settings import Count, NonNegative, Whole, check_ranges

if TYPE_CHECKING:
    from jaxtyping import Float, Int

__all__ = ["REASONS", "HardNegatives", "Selected", "positives_of", "select"]

#: What a candidate can be dropped for: option names, in the order in which they are applied.
REASONS = ("absolute_margin", "relative_margin", "max_score", "min_score")


@dataclass(frozen=True)
class HardNegatives:
    """How negatives are chosen from the documents nearest to a query.

    The options are those of `mine_hard_negatives` in sentence-transformers, with the same meaning and defaults.

    Args:
        num_negatives: Number of negatives per row.
        range_min: Number of the nearest candidates to skip, counted after the limits are applied.
        range_max: Number of nearest candidates to consider. None: `range_min` + `num_negatives` plus the maximum number
            of positives of a query, with ten times `num_negatives` if any limit may drop candidates.
        max_score: Maximum score of a negative.
        min_score: Minimum score of a negative.
        absolute_margin: A negative's score is at least this much below the score of the positive.
        relative_margin: A negative's score is below that of the positive by at least this fraction of its magnitude.
        sampling_strategy: `top`: the candidates with the highest scores; `random`: a sample of them.

    With several positives of a query, margins are measured from the one with the lowest score.

    Source: Moreira et al. 2024, NV-Retriever, on margins relative to the positive (TopK-PercPos is
    `relative_margin=0.05`).

    Raises:
        InputError: A value is out of range, the minimum score is above the maximum, or the ranks leave fewer than
            `num_negatives` candidates.
    """

    num_negatives: Count = 3
    range_min: Whole = 0
    range_max: Count | None = None
    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: NonNegative | None = None
    sampling_strategy: Literal["top", "random"] = "top"

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.sampling_strategy not in ("top", "random"):
            problem = f"invalid value {self.sampling_strategy!r}"
            raise InputError(problem, field="sampling_strategy", remedy="must be top or random")
        if self.min_score is not None and self.max_score is not None and self.min_score > self.max_score:
            problem = f"no score is at least {self.min_score:g} and at most {self.max_score:g}"
            raise InputError(problem, field="min_score", remedy="use a minimum below the maximum score")
        if self.range_max is not None and self.range_max - self.range_min < self.num_negatives:
            raise InputError(
                f"ranks {self.range_min} to {self.range_max} contain fewer than {self.num_negatives} candidates",
                field="range_max",
                remedy=f"use at least {self.range_min + self.num_negatives}, or fewer negatives",
            )

    @property
    def limited(self) -> bool:
        """Whether a limit or a margin may drop candidates."""
        return any(getattr(self, name) is not None for name in REASONS)

    def depth(self, positives: int, *, judged: bool = False) -> int:
        """`range_max`, or its default for queries with at most so many positives.

        Args:
            positives: The largest number of rows with one query.
            judged: Whether another model scores the candidates.
        """
        if self.range_max is not None:
            return self.range_max
        # The minimum score drops the last candidates alone, unless a judge has changed their order.
        dropping = any(getattr(self, name) is not None for name in (REASONS if judged else REASONS[:-1]))
        return self.range_min + self.num_negatives * (10 if dropping else 1) + positives


@dataclass(frozen=True, eq=False)
class Selected:
    """What was selected for each of some queries.

    Args:
        negatives: Columns of the candidates that are negatives, best first; -1 where there are too few.
        reasons: For each candidate the index in `REASONS` of what dropped it, -1 if nothing did.
    """

    negatives: Int[Tensor, "q n"]
    reasons: Int[Tensor, "q k"]


def select(
    scores: Float[Tensor, "q k"], positive: Float[Tensor, " q"], how: HardNegatives, depth: int, rng: random.Random
) -> Selected:
    """Choose negatives from the candidates of some queries.

    Args:
        scores: Of each query's candidates; -inf marks what is no candidate, such as its positives.
        positive: The lowest score of each query's positives.
        how: Limits, ranks and number.
        depth: `range_max`; at most k.
        rng: Source of randomness for the strategy `random`; advanced query by query.
    """
    scores = scores.clone()
    reasons = torch.full(scores.shape, -1, dtype=torch.int8)
    limit = positive[:, None]
    for number, name in enumerate(REASONS):
        value = getattr(how, name)
        if value is None:
            continue
        if name == "absolute_margin":
            dropped = scores + value > limit
        elif name == "relative_margin":
            # By magnitude, because a fraction of a negative score would be above it.
            dropped = scores > limit - limit.abs() * value
        else:
            dropped = scores > value if name == "max_score" else scores < value
        dropped &= scores > -torch.inf
        scores[dropped], reasons[dropped] = -torch.inf, number
    values, columns = scores.topk(min(depth, scores.shape[1]), dim=1)
    values, columns = values[:, how.range_min :], columns[:, how.range_min :]
    count = min(how.num_negatives, values.shape[1])
    if how.sampling_strategy == "random":
        usable = (values > -torch.inf).sum(1).clamp(min=count)
        drawn = torch.tensor([rng.sample(range(options), count) for options in usable.tolist()]).sort(dim=1).values
        drawn = drawn.reshape(len(values), count)
        values, columns = values.gather(1, drawn), columns.gather(1, drawn)
    found = columns[:, :count].masked_fill(values[:, :count] == -torch.inf, -1)
    missing = how.num_negatives - found.shape[1]
    return Selected(torch.nn.functional.pad(found, (0, missing), value=-1), reasons)


def positives_of(queries: Sequence[str], positives: Sequence[int]) -> dict[str, dict[int, None]]:
    """The numbers of the positives of each query, in the order of their rows: a query may have several rows."""
    found: dict[str, dict[int, None]] = {}
    for query, positive in zip(queries, positives, strict=True):
        found.setdefault(query, {})[positive] = None
    return found

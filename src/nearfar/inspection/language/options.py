"""The options of an inspection of a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from nearfar.settings import Count, Range, Whole, check_ranges


@dataclass(frozen=True)
class LanguageInspectOptions:
    """How documents are read, and how much of them.

    Args:
        columns: Canonical column name -> name in the file.
        split: Split of a Hub dataset to read.
        rows: Maximum number of documents; larger datasets are sampled.
        layers: Layers to compare with next-token laws; all when None, none where empty.
        seed: Random seed of every sample.
        tokens: About how many tokens are read in total: the time is linear in it.
        block: Maximum number of tokens of a piece of text.
        contexts: Number of contexts whose laws are compared with each other.
        directions: About how many directions r of A_r and R_r; the number nearby is used at which the spectrum falls
            most.
        permutations: Number of random assignments of states to contexts, for the null.
        offsets: Number of drafted tokens.
        shortlist: Number of tokens that a drafter can propose, those with the highest mean probability.

    Raises:
        InputError: a value out of its range.
    """

    columns: Mapping[str, str] | None = None
    split: str = "train"
    rows: Annotated[int, Range(least=3)] = 10_000
    layers: Sequence[int] | None = None
    seed: Whole = 0
    tokens: Annotated[int, Range(least=64)] = 4_096
    block: Annotated[int, Range(least=8)] = 256
    contexts: Annotated[int, Range(least=16, most=2_000)] = 600
    directions: Count = 16
    permutations: Count = 20
    offsets: Whole = 3
    shortlist: Count = 1_023

    def __post_init__(self) -> None:
        check_ranges(self)

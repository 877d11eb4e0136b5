"""Pairs by inverse propensity, from texts alone: a teacher finds the candidates, from which pairs are sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nearfar.mining.candidates import Candidates, mine
from nearfar.mining.pairs import drawn_pairs
from nearfar.mining.propensity import negative_log_weights, positive_log_weights
from nearfar.mining.surface import SurfaceName, surface_of

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

__all__ = ["InversePropensity", "debiased_pairs", "mine_with"]


@dataclass(frozen=True)
class InversePropensity:
    """Where pairs come from, and with which weights; see `nearfar.mining.propensity` for the formulas.

    Args:
        surface: Surface similarity, see `surface_of`.
        positives, negatives, random_negatives: Numbers of candidates, see `mine`.
        a, b: Exponents of the positives' weights.
        a_negative, b_negative: Exponents of the negatives' weights.
        clip: Minimum propensity.
        t_fn: Cosine from which a candidate counts as a false negative.
        hard_negatives: Number of negatives per row.
        draws: Number of rows per text, sampled independently.
    """

    surface: SurfaceName = "jaccard"
    positives: int = 20
    negatives: int = 180
    random_negatives: int = 20
    a: float = 4.0
    b: float = 1.0
    a_negative: float = 1.0
    b_negative: float = 1.0
    clip: float = 0.1
    t_fn: float = 0.75
    hard_negatives: int = 1
    draws: int = 1


def mine_with(
    teacher: SentenceTransformer, texts: Sequence[str], how: InversePropensity, *, max_length: int = 0, seed: int = 0
) -> tuple[Candidates, Candidates]:
    """Candidates for the positives and for the negatives of each text; see `mine`.

    Args:
        teacher: The encoder whose cosines measure meaning; it is not changed.
        texts: The corpus.
        how: Its surface similarity and numbers of candidates.
        max_length: Number of tokens after which the teacher truncates a text; 0: its own limit.
        seed: Seed of the random candidates.

    Raises:
        InputError: Fewer than two different texts, or no text contains a word.
    """
    from nearfar.models.encoding import encode

    surface = surface_of(how.surface, texts)
    vectors = torch.from_numpy(encode(teacher, list(texts), max_length=max_length or None)).to(teacher.device)
    numbers = how.positives, how.negatives, how.random_negatives
    return mine(texts, vectors, surface, *numbers, generator=torch.Generator().manual_seed(seed))


def debiased_pairs(
    texts: Sequence[str], candidates: tuple[Candidates, Candidates], how: InversePropensity, *, seed: int = 0
) -> Dataset:
    """Rows of an anchor, a positive and negatives, sampled in proportion to their weights.

    Args:
        texts: The corpus.
        candidates: For positives and for negatives, as `mine_with` returns them.
        how: Its weights and numbers of rows.
        seed: Random seed.

    Returns:
        Columns `anchor`, `positive`, then `negative` or `negative_1`, `negative_2`, ...

    Raises:
        InputError: No text has a positive and enough negatives.
    """
    near, far = candidates
    towards = positive_log_weights(near.semantic, near.surface, how.a, how.b, how.clip)
    away = negative_log_weights(far.semantic, far.surface, how.a_negative, how.b_negative, how.clip, how.t_fn)
    return drawn_pairs(texts, near, towards, far, away, how.hard_negatives, how.draws, seed)

"""From weighted candidates to rows for a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError
from nearfar.mining.sampling import draw

if TYPE_CHECKING:
    from datasets import Dataset
    from jaxtyping import Float, Int

    from nearfar.mining.candidates import Candidates

__all__ = ["drawn_pairs", "drawn_rows"]


def drawn_pairs(
    texts: Sequence[str],
    near: Candidates,
    towards: Float[Tensor, "n k"],
    far: Candidates,
    away: Float[Tensor, "n l"],
    negatives: int = 1,
    draws: int = 1,
    seed: int = 0,
) -> Dataset:
    """Rows `anchor`, `positive`, then `negative` or `negative_1`, `negative_2`, ...

    Args:
        texts: The corpus of the candidates.
        near, far: Candidates for positives and for negatives.
        towards, away: Logarithms of their weights; -inf is never sampled.
        negatives: Number of different negatives per row, M.
        draws: Number of rows per sentence, sampled independently.
        seed: Random seed.

    Raises:
        InputError: No sentence has a positive and enough negatives.
    """
    from datasets import Dataset

    generator = torch.Generator().manual_seed(seed)
    rows = torch.cat([drawn_rows(near.rows, towards, far.rows, away, negatives, generator) for _ in range(draws)])
    if not len(rows):
        raise InputError(
            f"no sentence has a positive and enough negatives ({negatives}) among its candidates",
            field="text",
            remedy="use more varied sentences, or raise the cosine that counts as a false negative (t_fn)",
        )
    names = ["negative"] if negatives == 1 else [f"negative_{number}" for number in range(1, negatives + 1)]
    columns = zip(["anchor", "positive", *names], rows.T.tolist(), strict=True)
    return Dataset.from_dict({name: [texts[row] for row in column] for name, column in columns})


def drawn_rows(
    near: Int[Tensor, "n k"],
    towards: Float[Tensor, "n k"],
    far: Int[Tensor, "n l"],
    away: Float[Tensor, "n l"],
    negatives: int = 1,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "m 2+negatives"]:
    """Row numbers of each sentence, a positive and negatives, sampled in proportion to their weights.

    Sentences without a positive, or with fewer negatives than requested, are dropped.

    Args:
        near, far: Row numbers of the candidates.
        towards, away, negatives: As in `drawn_pairs`.
        generator: Random generator on the CPU.
    """
    positive, negative = draw(towards, 1, generator), draw(away, negatives, generator)
    anchors = torch.arange(len(near))[:, None]
    rows = torch.cat([anchors, near.gather(1, positive.clamp(min=0)), far.gather(1, negative.clamp(min=0))], 1)
    return rows[torch.cat([positive, negative], 1).ge(0).all(1)]

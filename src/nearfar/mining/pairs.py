"""From weighted candidates to rows that a loss takes."""

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
        texts: The corpus that the candidates come from.
        near, far: Candidates for positives and for negatives.
        towards, away: Logarithms of their weights; -inf is never drawn.
        negatives: Different negatives in a row, M.
        draws: Rows for each sentence, each drawn anew.
        seed: Decides the draws.

    Raises:
        InputError: not one sentence has a positive and enough negatives.
    """
    from datasets import Dataset

    generator = torch.Generator().manual_seed(seed)
    rows = torch.cat([drawn_rows(near.rows, towards, far.rows, away, negatives, generator) for _ in range(draws)])
    if not len(rows):
        raise InputError(
            f"no sentence has {negatives} of its candidates left as negatives",
            field="text",
            remedy="give more varied sentences, or raise the similarity that counts as a false negative",
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
    """Row numbers of each sentence, one positive and some negatives, drawn in proportion to their weights.

    A sentence that has no positive, or fewer negatives than asked for, is left out.

    Args:
        near, far: Row numbers of the candidates.
        towards, away, negatives: As in `drawn_pairs`.
        generator: Of the CPU.
    """
    positive, negative = draw(towards, 1, generator), draw(away, negatives, generator)
    anchors = torch.arange(len(near))[:, None]
    rows = torch.cat([anchors, near.gather(1, positive.clamp(min=0)), far.gather(1, negative.clamp(min=0))], 1)
    return rows[torch.cat([positive, negative], 1).ge(0).all(1)]

"""Whether a few vectors are the nearest neighbours of very many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nearfar.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Int


def k_occurrence(neighbours: Int[Tensor, "n k"], m: int) -> Int[Tensor, " m"]:
    """How often each of m vectors is among the k nearest of n others: N_k. Its mean is n k / m.

    Args:
        neighbours: Row numbers of the k nearest, as `nearfar.mining.nearest` returns them.
        m: Number of vectors that can be neighbours.

    Raises:
        InputError: a row number out of range.

    Source: Radovanovic, Nanopoulos, Ivanovic 2010, Hubs in Space.
    """
    rows = torch.as_tensor(neighbours).reshape(-1).long()
    if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < m):
        raise InputError(
            f"expected row numbers from 0 to {m - 1}, got {int(rows.min())} to {int(rows.max())}", field="neighbours"
        )
    return rows.bincount(minlength=m)


def hubness(occurrence: Int[Tensor, " m"]) -> float:
    """Skewness of the k-occurrence, E[(N_k - mean)^3] / sd^3: 0 where all occur equally often.

    Above 1 some vectors are neighbours of very many: hubs, which are among the results of many unrelated queries. It
    grows with the dimension of a space, and in a narrow cone.

    Args:
        occurrence: See `k_occurrence`.

    Source: Radovanovic, Nanopoulos, Ivanovic 2010, Hubs in Space.
    """
    counts = torch.as_tensor(occurrence).double()
    if len(counts) < 2:
        raise InputError(f"expected at least 2 vectors, got {len(counts)}", field="occurrence")
    away = counts - counts.mean()
    variance = away.square().mean()
    return 0.0 if float(variance) == 0 else float(away.pow(3).mean() / variance.pow(1.5))

"""A student's own samples of earlier iterations, as negatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Int

    from nearfar.models.abilities import Conditions

#: Stands for no token.
NONE = -1


class OwnSamples(nn.Module):
    """One sample for each source from the student of each of the last iterations.

    A snapshot samples when its iteration begins, and the samples are kept instead of its weights. They are buffers, so
    that a checkpoint contains them.

    Args:
        sources: The source texts, one for each row.
        lag: Iterations between the snapshot and its use.
        temperature: Of sampling.
        max_new_tokens: Longest sample in tokens.
        seed: Random seed.
        batch_size: Sources per forward pass.

    Source: Wang et al. 2025, QCRD, self-adversarial negatives.
    """

    tokens: Tensor

    def __init__(
        self,
        sources: Sequence[str],
        *,
        lag: int = 5,
        temperature: float = 1.5,
        max_new_tokens: int = 64,
        seed: int = 0,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.sources, self.lag, self.temperature, self.max_new_tokens = list(sources), lag, temperature, max_new_tokens
        self.seed, self.batch_size = seed, batch_size
        blank = torch.full((lag + 1, len(self.sources), max_new_tokens), NONE, dtype=torch.int32)
        self.register_buffer("tokens", blank)

    def draw(self, student: Conditions, iteration: int) -> None:
        """Sample from the student as it is at the beginning of an iteration."""
        found = student.sample_targets(
            self.sources,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed + iteration,
            batch_size=self.batch_size,
        )
        slot = self.tokens[iteration % (self.lag + 1)].fill_(NONE)
        for row, sample in enumerate(found):
            slot[row, : len(sample)] = sample.to(slot)

    def of(self, rows: Sequence[int], iteration: int) -> list[Int[Tensor, " t"]]:
        """The samples of some rows from the snapshot `lag` iterations earlier, or the first one; some may be empty."""
        slot = self.tokens[max(0, iteration - self.lag) % (self.lag + 1)]
        return [slot[row][slot[row] != NONE].long() for row in rows]

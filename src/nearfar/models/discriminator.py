"""Judges rationales: is this one good for its question?"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from nearfar.models.abilities import Conditions

__all__ = ["Discriminator"]


class Discriminator(nn.Module):
    """A transformer that reads question and rationale, the maximum over tokens, two linear layers, one logit.

    Args:
        body: Returns `last_hidden_state` for `input_ids` and `attention_mask`.
        width: Width of its states.

    Source: Wang et al. 2025, QCRD, with an encoder of its own.
    """

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    @classmethod
    def like(cls, student: Conditions) -> Discriminator:
        """With a copy of the part of the student that reads, and a new head."""
        body = copy.deepcopy(student.reader)
        made = cls(body, int(body.config.hidden_size))  # type: ignore[union-attr, arg-type]
        return made.to(next(body.parameters()).device)

    def forward(self, tokens: Int[Tensor, "m t"], mask: Bool[Tensor, "m t"]) -> Float[Tensor, " m"]:
        """The logit of each text."""
        states = self.body(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        lowest = torch.finfo(states.dtype).min
        return self.head(states.masked_fill(~mask[..., None], lowest).amax(1))[:, 0]

    def logits(
        self, student: Conditions, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]], owners: Sequence[int]
    ) -> Float[Tensor, " m"]:
        """The logit of each target (tokens of the student) for its source, `sources[owners[j]]`."""
        if not targets:
            return self.head[-1].bias.new_zeros(0)  # type: ignore[union-attr, operator]
        return self(*student.pair_tokens([sources[owner] for owner in owners], targets))

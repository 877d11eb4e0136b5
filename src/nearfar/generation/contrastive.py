"""Contrastive decoding with an opposite instruction, as a logits processor for transformers.

    l_t  = logits(y_t | instruction, x, y_<t)
    l'_t = logits(y_t | opposite instruction, x, y_<t)
    score_t = l_t - omega l'_t

Source: Kim et al. 2023, Instructive Decoding (arXiv 2311.00233); Wang et al. 2024, MultiCSR.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass
class Context:
    """The prompts of a batch; their common prefix is computed once.

    Columns are [common prefix | padding | rest], so that few-shot examples are computed once per batch, not per row.

    Args:
        input_ids: (batch, t).
        attention_mask: (batch, t); 0 for padding.
        cache: Keys and values of the common prefix, for each row.
    """

    input_ids: Int[Tensor, "batch t"]
    attention_mask: Int[Tensor, "batch t"]
    cache: DynamicCache

    @classmethod
    @torch.no_grad()
    def of(cls, model: Any, rows: Sequence[Sequence[int]], padding: int) -> Context:
        """Pad the rows of token ids and compute their common prefix. No row may be empty."""
        shared = _shared_beginning(rows)
        width = max(map(len, rows))
        ids = [[*row[:shared], *[padding] * (width - len(row)), *row[shared:]] for row in rows]
        mask = [[*[1] * shared, *[0] * (width - len(row)), *[1] * (len(row) - shared)] for row in rows]
        input_ids = torch.tensor(ids, device=model.device)
        cache = DynamicCache(config=model.config)
        if shared:
            model(input_ids=input_ids[:1, :shared], past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache.batch_repeat_interleave(len(rows))
        return cls(input_ids, torch.tensor(mask, device=model.device), cache)


def _shared_beginning(rows: Sequence[Sequence[int]]) -> int:
    """The length of the common prefix of all rows, without the last token of any row: generation continues from it."""
    most = min(map(len, rows)) - 1
    return next((k for k in range(most) if any(row[k] != rows[0][k] for row in rows)), most)


class ContrastiveLogits(LogitsProcessor):
    """Subtracts omega times the logits of the same model given the opposite prompts.

    Both contexts continue with the tokens chosen from the difference. Use one object per call of `generate`, greedy or
    sampling. Beam search is not supported, because it reorders rows.

    Args:
        model: The model that generates.
        opposite: The opposite prompts, in the order of the rows.
        omega: Weight of the opposite logits; 0 leaves the scores unchanged.
        plausibility: Tokens below this fraction of the top token's probability are excluded; 0 excludes none.
    """

    def __init__(self, model: Any, opposite: Context, omega: float, plausibility: float = 0.0) -> None:
        self.model, self.omega, self.plausibility = model, omega, plausibility
        self._cache, self._mask = opposite.cache, opposite.attention_mask
        self._next = opposite.input_ids[:, opposite.cache.get_seq_length() :]
        self._started = False

    @torch.no_grad()
    def __call__(self, input_ids: Int[Tensor, "batch t"], scores: Float[Tensor, "batch v"]) -> Float[Tensor, "batch v"]:
        """Called by `generate` at each step, with all tokens so far and the logits given the prompts."""
        if len(input_ids) != len(self._mask):
            raise ValueError(
                f"expected {len(self._mask)} rows, one per opposite prompt, got {len(input_ids)} (beam search?)"
            )
        if self._started:
            self._next = input_ids[:, -1:]
            self._mask = torch.cat([self._mask, self._mask.new_ones(len(self._mask), 1)], 1)
        self._started = True
        positions = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -self._next.shape[1] :]
        opposite = self.model(
            input_ids=self._next,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        return contrasted(scores, opposite.to(scores), self.omega, self.plausibility)


def contrasted(
    scores: Float[Tensor, "batch v"], opposite: Float[Tensor, "batch v"], omega: float, plausibility: float = 0.0
) -> Float[Tensor, "batch v"]:
    """scores - omega * opposite, with implausible tokens at -inf."""
    found = scores - omega * opposite
    if plausibility > 0:
        least = scores.max(1, keepdim=True).values + math.log(plausibility)
        found = found.masked_fill(scores < least, -torch.inf)
    return found

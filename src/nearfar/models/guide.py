"""A frozen second model that encodes the same texts as the model in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from nearfar.models.packing import Features, embed

if TYPE_CHECKING:
    from jaxtyping import Float


class Guide:
    """Encodes the features that the collator made for another model; tokenizes again if the vocabularies differ.

    Not an `nn.Module`, so it is neither trained nor saved with the loss that contains it.
    """

    def __init__(self, guide: SentenceTransformer, model: SentenceTransformer) -> None:
        if guide is model:
            raise ValueError("expected a second, frozen model as guide, got the model in training")
        self.model = guide.eval().requires_grad_(False)
        self.tokenizer = model.tokenizer
        self.same_tokens = guide.tokenizer.get_vocab() == model.tokenizer.get_vocab() and (
            guide.max_seq_length or 0
        ) >= (model.max_seq_length or 0)

    @torch.no_grad()
    def __call__(self, columns: Sequence[Features]) -> list[Float[Tensor, "batch d"]]:
        """One matrix of vectors for each column."""
        device = next(each.device for each in columns[0].values() if isinstance(each, Tensor))
        self.model.to(device)
        return embed(
            self.model, [dict(column) if self.same_tokens else self._again(column, device) for column in columns]
        )

    def _again(self, column: Features, device: torch.device) -> Features:
        texts = self.tokenizer.batch_decode(column["input_ids"], skip_special_tokens=True)
        return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in self.model.preprocess(texts).items()}

"""What language models of both kinds share as conditional models, see `nearfar.models.abilities.Conditions`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nearfar.models.abilities import Conditions

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from torch import Tensor

__all__ = ["Conditional"]


class Conditional(Conditions):
    """Pairs, samples and texts of targets, by a transformers model and its tokenizer."""

    @abstractmethod
    def source_tokens(self, texts: Sequence[str]) -> list[Int[Tensor, " t"]]:
        """Source texts as tokens."""

    def pair_tokens(
        self, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]]
    ) -> tuple[Int[Tensor, "m t"], Bool[Tensor, "m t"]]:
        """See `Conditions`."""
        import torch

        from nearfar.models.conditional import padded

        rows = [torch.cat(pair) for pair in zip(self.source_tokens(sources), targets, strict=True)]
        return padded(rows, self.padding, self.model.device)

    def sample_targets(
        self,
        sources: Sequence[str],
        *,
        temperature: float = 0.0,
        max_new_tokens: int = 64,
        seed: int = 0,
        batch_size: int = 64,
    ) -> list[Int[Tensor, " t"]]:
        """See `Conditions`."""
        from nearfar.models.conditional import sampled
        from nearfar.models.language import end_tokens

        rows = self.source_tokens(sources)

        return sampled(
            self.model,
            (self.generation_inputs(rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)),
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            seed=seed,
            ends=end_tokens(self.model, self.tokenizer),
            padding=self.padding,
        )

    def target_texts(self, targets: Sequence[Int[Tensor, " t"]]) -> list[str]:
        """See `Conditions`."""
        return self.tokenizer.batch_decode([target.tolist() for target in targets], skip_special_tokens=True)

    @property
    def padding(self) -> int:
        """The token for padding."""
        from nearfar.models.language import padding_token

        return padding_token(self.tokenizer)

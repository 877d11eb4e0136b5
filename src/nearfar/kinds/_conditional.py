"""What language models of both kinds share as conditional models, see `nearfar.models.abilities.Conditions`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nearfar.models.abilities import Conditions

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

__all__ = ["Conditional"]


class Conditional(Conditions):
    """Samples and losses of targets, by a transformers model and its tokenizer."""

    model: Any
    tokenizer: Any
    #: Whether source and target are one sequence.
    one_sequence: ClassVar[bool]

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

    def target_losses(
        self, model: Any, sources: Sequence[str], targets: Sequence[Int[Tensor, " t"]], owners: Sequence[int]
    ) -> Float[Tensor, " m"]:
        """See `Conditions`."""
        import torch

        from nearfar.models.answers import IGNORED
        from nearfar.models.conditional import mean_losses, padded

        device, before = self.model.device, self.source_tokens(sources)
        own = [before[owner] for owner in owners]
        if not self.one_sequence:
            tokens, mask = padded(own, self.padding, device)
            labels, _ = padded(targets, IGNORED, device)
            return mean_losses(
                model(input_ids=tokens, attention_mask=mask.long(), labels=labels, use_cache=False).logits, labels
            )
        pairs = list(zip(own, targets, strict=True))
        tokens, mask = padded([torch.cat(pair) for pair in pairs], self.padding, device)
        labels, _ = padded(
            [torch.cat([source.new_full(source.shape, IGNORED), t]) for source, t in pairs], IGNORED, device
        )
        logits = model(input_ids=tokens, attention_mask=mask.long(), use_cache=False).logits
        return mean_losses(logits[:, :-1], labels[:, 1:])

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
        from nearfar.models.conditional import padded, sampled
        from nearfar.models.language import end_tokens

        rows = self.source_tokens(sources)

        def batches() -> Iterator[tuple[dict[str, Tensor], int]]:
            for start in range(0, len(rows), batch_size):
                part = rows[start : start + batch_size]
                tokens, mask = padded(part, self.padding, self.model.device, left=self.one_sequence)
                # A decoder of its own begins with a start token.
                yield {"input_ids": tokens, "attention_mask": mask.long()}, tokens.shape[1] if self.one_sequence else 1

        return sampled(
            self.model,
            batches(),
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

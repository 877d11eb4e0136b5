"""Losses of language models: the next token, with optional terms; and the distribution of a teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from transformers.modeling_outputs import CausalLMOutputWithPast

    #: From the model's output (`logits`, `hidden_states` of all layers) and the tokens to a number that is added.
    Term = Callable[[CausalLMOutputWithPast, Tensor], Tensor]


class LanguageLoss(nn.Module):
    """Mean cross-entropy of the next token, plus terms.

    As an instance of `contrast`: anchors are the last hidden states, candidates the output embeddings, near is the next
    token, far all others, with dot products and temperature 1. transformers computes it fused.

    Args:
        terms: Functions of the model's output (with hidden states) and the tokens; their values are added.

    Example:
        >>> loss = LanguageLoss(lambda output, tokens: 0.1 * output.hidden_states[-1].square().mean())
    """

    def __init__(self, *terms: Term) -> None:
        super().__init__()
        self.terms = terms

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """The loss of a batch.

        Args:
            model: A causal or sequence-to-sequence language model of transformers.
            batch: `input_ids` (b, n); `labels` (b, m), unless they are the tokens, with -100 where nothing is
                predicted; `attention_mask` (b, n), if there is padding. Other columns are ignored.
        """
        tokens = batch["input_ids"]
        read = {name: batch[name] for name in ("input_ids", "attention_mask") if name in batch}
        labels = batch.get("labels", tokens)
        output = model(**read, labels=labels, use_cache=False, output_hidden_states=bool(self.terms))
        loss = output.loss
        for term in self.terms:
            loss = loss + term(output, tokens)
        return loss


class TeacherLoss(nn.Module):
    """Mean cross-entropy of a student's next-token distribution with a teacher's as target.

    As an instance of `contrast`: `LanguageLoss` with the teacher's probabilities instead of the next token.

    Args:
        teacher: A causal language model with the student's vocabulary; it is not trained.
    """

    def __init__(self, teacher: Any) -> None:
        super().__init__()
        self.teacher = [teacher]  # in a list, so that it is not a submodule, which would be trained

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """The loss of a batch of blocks, `input_ids` (b, n)."""
        tokens = batch["input_ids"]
        with torch.no_grad():
            targets = self.teacher[0].eval()(input_ids=tokens, use_cache=False).logits.float().softmax(-1)
        logits = model(input_ids=tokens, use_cache=False).logits.float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1))

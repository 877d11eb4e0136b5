"""What a language model is trained on: the next token, plus whatever terms a recipe adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from transformers.modeling_outputs import CausalLMOutputWithPast

    #: From what the model put out (`logits`, `hidden_states` of all layers) and the tokens to a number to add.
    Term = Callable[[CausalLMOutputWithPast, Tensor], Tensor]


class LanguageLoss(nn.Module):
    """Mean cross-entropy of each next token, plus terms.

    As an instance of `contrast`: anchors are the last hidden states, candidates the output embeddings, near is the next
    token, nothing else is far, similarity the dot product, temperature 1. transformers computes it fused.

    Args:
        terms: Each is called with the model's output, hidden states included, and the tokens, and is added as it is.

    Example:
        >>> loss = LanguageLoss(lambda output, tokens: 0.1 * output.hidden_states[-1].square().mean())
    """

    def __init__(self, *terms: Term) -> None:
        super().__init__()
        self.terms = terms

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """The loss of a batch, and gradients through it.

        Args:
            model: A causal or a sequence-to-sequence language model of transformers.
            batch: `input_ids` (b, n); `labels` (b, m), where they are not the tokens themselves, with -100 where
                nothing is predicted; `attention_mask` (b, n), where there is padding. Other columns are not read.
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
    """Mean cross-entropy of a student's next-token distribution towards a teacher's.

    As an instance of `contrast`: `LanguageLoss`, with the teacher's probabilities in the place of the one next token.

    Args:
        teacher: A causal language model with the student's vocabulary; it stays as it is.
    """

    def __init__(self, teacher: Any) -> None:
        super().__init__()
        self.teacher = [teacher]  # no submodule: what trains the student leaves it alone

    def forward(self, model: Any, batch: Mapping[str, Any]) -> Float[Tensor, ""]:
        """The loss of a batch of blocks (`input_ids`, b x n), and gradients through it."""
        tokens = batch["input_ids"]
        with torch.no_grad():
            targets = self.teacher[0].eval()(input_ids=tokens, use_cache=False).logits.float().softmax(-1)
        logits = model(input_ids=tokens, use_cache=False).logits.float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1))

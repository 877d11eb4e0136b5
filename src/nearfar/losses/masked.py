"""Masked language modelling, with the head that an encoder was pre-trained with.

Source: Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, section 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DataCollatorForLanguageModeling

from nearfar.losses._own import averaged_over_processes

if TYPE_CHECKING:
    from jaxtyping import Float
    from transformers import PreTrainedTokenizerBase

    from nearfar.models.masked_head import MaskedHead
    from nearfar.models.packing import Features

__all__ = ["MaskedLanguageLoss"]

#: The columns of a batch that describe texts; others would be those of an earlier forward pass.
_TEXT = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


class MaskedLanguageLoss(nn.Module):
    """Mean negative log-likelihood of masked tokens: 15% are chosen, of which 80% are masked and 10% replaced.

    Args:
        head: The head, trained with the encoder; see `nearfar.models.masked_head`.
        tokenizer: The encoder's.
        probability: Probability that a token is chosen.
    """

    special: Tensor

    def __init__(self, head: MaskedHead, tokenizer: PreTrainedTokenizerBase, probability: float = 0.15) -> None:
        super().__init__()
        self.training_head = averaged_over_processes(head)
        self.masking = DataCollatorForLanguageModeling(tokenizer, mlm_probability=probability)
        self.register_buffer("special", torch.tensor(sorted(tokenizer.all_special_ids)), persistent=False)

    def forward(self, model: nn.Module, features: Features) -> Float[Tensor, ""]:
        """The loss of a batch of texts; 0 if no token was chosen.

        Args:
            model: The encoder, or the encoder wrapped for distributed training.
            features: The batch from the collator; it is not changed.
        """
        text = {name: features[name] for name in _TEXT if name in features}
        tokens = text["input_ids"]
        special = torch.isin(tokens, self.special) | ~text["attention_mask"].bool()
        # The masks are drawn on the CPU.
        masked, labels = self.masking.torch_mask_tokens(tokens.cpu().clone(), special.cpu())
        text["input_ids"], labels = masked.to(tokens.device), labels.to(tokens.device)
        states = model(text)["token_embeddings"]
        chosen = labels != -100
        if not bool(chosen.any()):
            return 0 * states.sum()
        return F.cross_entropy(self.training_head(states[chosen]).float(), labels[chosen])

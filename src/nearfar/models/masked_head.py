"""The head of masked language modelling that checkpoints of encoders contain, if they were pre-trained with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging

from nearfar.models.load_failures import without_progress_bar

if TYPE_CHECKING:
    from jaxtyping import Float
    from sentence_transformers import SentenceTransformer

__all__ = ["MaskedHead", "masked_head"]


class MaskedHead(nn.Module):
    """From the last hidden states of tokens to logits of the vocabulary.

    Args:
        whole: A model for masked language modelling of transformers; its encoder is not used.
        embeddings: The token embeddings that the output shares its weights with; None: it has its own.
    """

    def __init__(self, whole: Any, embeddings: nn.Module | None = None) -> None:
        super().__init__()
        setattr(whole, whole.base_model_prefix, _Given())
        if embeddings is not None:
            whole.get_output_embeddings().weight = embeddings.weight
        self.head = whole

    def forward(self, states: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens vocabulary"]:
        """The logits of tokens of any texts."""
        return self.head(inputs_embeds=states[None]).logits[0]


def masked_head(model: SentenceTransformer) -> MaskedHead | None:
    """The head in the checkpoint of an encoder, which shares the encoder's token embeddings if it did there.

    None where there is no such checkpoint, where it contains no head, or where its tokenizer has no mask.
    """
    encoder: Any = getattr(model[0], "auto_model", None)
    name = getattr(getattr(encoder, "config", None), "_name_or_path", "")
    if encoder is None or not name or getattr(model.tokenizer, "mask_token_id", None) is None:
        return None
    settings: Any = {"trust_remote_code": False, "use_safetensors": True, "local_files_only": True}
    # A head that is missing would be drawn at random, with a warning.
    with without_progress_bar(), _without_warnings(), torch.random.fork_rng(devices=[]):
        try:
            whole, found = AutoModelForMaskedLM.from_pretrained(name, output_loading_info=True, **settings)
        except (ValueError, OSError):  # no such architecture, or no longer there
            return None
    if found["missing_keys"]:
        return None
    tied = whole.get_output_embeddings().weight is whole.get_input_embeddings().weight
    return MaskedHead(whole, encoder.get_input_embeddings() if tied else None).to(model.device)


@contextmanager
def _without_warnings() -> Iterator[None]:
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


class _Given(nn.Module):
    """Stands for the encoder: its hidden states are its input."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=inputs_embeds)  # pyright: ignore[reportArgumentType]

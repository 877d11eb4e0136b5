"""A causal language model as a text encoder: its state at an end token, which is appended to each text, is the vector.

This is the form of Qwen3-Embedding, E5-Mistral and their kin. What is set here is saved with the model, so that
`SentenceTransformer(folder)` gives the same vectors.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["pool_last_token"]

logger = logging.getLogger(__name__)


def pool_last_token(model: SentenceTransformer, folder: Path) -> None:
    """Give a causal language model that was loaded as an encoder last-token pooling and an end token, in place.

    A text is read as it is: a template for chats, which sentence-transformers would fill with each text, is removed.
    Padding is put on the right: there no token of a causal model sees it, and positions are counted from the left. A
    model whose configuration says that its attention looks both ways (`is_causal`: false) keeps mean pooling.

    Args:
        model: A plain transformers folder, as sentence-transformers loads it.
        folder: Where it was loaded from, for messages.

    Raises:
        InputError: The tokenizer has no end token, or is a slow one.
    """
    from nearfar.models.pooling import set_pooling

    backbone: Any = model[0]
    _read_texts(backbone)
    if getattr(backbone.config, "is_causal", True) is False:
        logger.warning("%s looks both ways: the mean of its states is used as a text's vector", folder)
        return
    set_pooling(model, "last")
    tokenizer: Any = model.tokenizer
    append_end(tokenizer, folder)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    logger.warning(
        "%s is a causal language model: its state at the last token (%s, appended to each text) is used as a text's "
        "vector",
        folder,
        tokenizer.eos_token,
    )


def _read_texts(backbone: Any) -> None:
    """Let a backbone read texts, not messages of a chat, in place."""
    backbone.modality_config.pop("message", None)
    backbone.input_formatter.supported_modalities = list(backbone.modality_config)
    backbone.tokenizer.chat_template = None


def append_end(tokenizer: Any, folder: Path) -> None:
    """Let a tokenizer end each text with its end token, in place; what it adds already stays."""
    from tokenizers import processors

    end, number = tokenizer.eos_token, tokenizer.eos_token_id
    if end is None or not tokenizer.is_fast:
        problem = "the tokenizer has no end token" if end is None else "the tokenizer has no tokenizer.json"
        remedy = "set eos_token in its tokenizer_config.json" if end is None else "pass a model with a tokenizer.json"
        raise InputError(problem, file=folder, remedy=remedy)
    if tokenizer("a")["input_ids"][-1] == number:
        return
    ending = processors.TemplateProcessing(single=f"$A {end}", pair=f"$A $B:1 {end}:1", special_tokens=[(end, number)])
    backend = tokenizer.backend_tokenizer
    own = backend.post_processor
    backend.post_processor = ending if own is None else processors.Sequence([own, ending])

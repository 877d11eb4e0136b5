"""Raw backbones: layers of a language model that has never been trained on sentences or pairs."""

from __future__ import annotations

from typing import Literal

from sentence_transformers import SentenceTransformer

from nearfar.models import load
from nearfar.models.gguf_folders import plain_folder
from nearfar.models.pooling import set_pooling

#: Whether a token sees those after it.
Mask = Literal["causal", "open"]
MASKS: tuple[Mask, ...] = ("causal", "open")
LAYERS = 4
NAME = f"the first {LAYERS} layers of SmolLM2-135M, mean of the states"


def smollm2(mask: Mask, max_length: int, layers: int = LAYERS) -> SentenceTransformer:
    """The first layers of SmolLM2-135M as an encoder.

    Args:
        mask: `causal` as it was trained, or `open`.
        max_length: Maximum sequence length in tokens.
        layers: Number of layers.
    """
    model = load(plain_folder("smollm2"), layers=layers, max_length=max_length)
    set_pooling(model, "mean")
    if mask == "open":
        backbone = model[0].auto_model
        backbone.config.is_causal = False
        for layer in backbone.layers:
            layer.self_attn.is_causal = False
    return model
